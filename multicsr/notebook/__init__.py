"""What a notebook types: the store with the stages as methods, by the same jobs as the shell's.

workspace.py   the open store, a method a stage
results.py     what each stage gives: runs with triplets, encoders, figures
keywords.py    a method's keywords, read off the settings of its stage
progress.py    a bar, a callback, or nothing
"""
