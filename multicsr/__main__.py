"""`python -m multicsr` is the shell's command."""

from __future__ import annotations

from multicsr_cli.main import main

if __name__ == "__main__":
    main()
