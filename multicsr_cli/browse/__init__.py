"""The full-screen browser of `multicsr inspect`. Textual is imported here and nowhere else, and only to open it."""
