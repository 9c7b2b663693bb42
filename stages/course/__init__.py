"""The inside of a training, which `stages/train.py` begins and ends.

examples.py    what is learned from: the texts of its corpora, and the labels that an objective reads
masking.py     the mask: its threshold, what it will remove, what it removed
frozen.py      the vectors of the models that are not trained, the mask model and the teacher, beside each example
steps.py       its steps: taken, stored, measured on the dev task, and where a resumed training goes on
"""
