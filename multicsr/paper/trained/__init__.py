"""Experiments whose rows are models: trained, measured, compared.

rows.py         a row as it is declared, and with its figures
experiment.py   the experiment: its runs, its figures, its outcome
decision.py     one verdict a claim, from matched rows
evidence.py     the figures of trainings on draws of the items
table.py        the figures as a table, published ones beside them
corpora.py      what the LLM wrote in the corpora behind the rows
plots.py        the figures as dots or curves
"""
