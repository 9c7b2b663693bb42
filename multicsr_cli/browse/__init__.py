"""The full-screen browser of `multicsr inspect`. Textual is imported here and nowhere else, and only to open it.

app      the app: what its keys are, and that it looks whether somebody has written
frame    the screen and its parts, each showing the state
keys     what each key does: filters moves questions reviews, the reader and the file of rows they use, and the help
state    the run that is shown, thresholds as moved, what is asked for; no widget, no store
numbers  decisions, filters and orders of a million premises in memory; loading fills them from the store
rows     the list of rows, a page at a time
panes    the parts of the first tab as text, of which funnel and detail are two
lists    the other tabs; masked is the one of masked pairs
charts   bars, the density of (a, b), curves, differences
"""
