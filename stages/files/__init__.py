"""Files that come in and go out.

tables    the one reader: CSV, TSV, JSON lines, Parquet, lines of text. A leaf that tasks read with too
sources   sentences of a file, standard input or the bundled set: premises, or what is searched
layouts   what the columns of a file of triplets or pairs mean, by their names
labelled  labelled NLI pairs on their way to triplets
corpora   triplets made elsewhere, as a gen run of their own, and their scores as a score run
export    triplets as CSV, JSON lines, Parquet, or a data set for the hub
cards     the model card of an encoder, and the card of an exported data set

`store/whole.py` makes a file appear whole, `store/markdown.py` writes what is Markdown.
"""
