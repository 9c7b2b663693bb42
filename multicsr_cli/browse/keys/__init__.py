"""What the keys of the browser do, an idea a room; each class brings its bindings.

reader     reads the numbers of a run and searches, in threads; what the others build on
filters    verdict, reason, source, order, thresholds
moves      tabs, rows, into a triplet and back, to a premise
reviews    a person's word, and a curate run with moved thresholds: all that is written to the store
questions  keys that ask for one line, and its answer; rows_file writes what is shown to a file
help       all keys in words
"""
