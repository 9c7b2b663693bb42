"""One file an experiment: which runs, what varies, what is measured, which claim is tested.

t1 to t13, f1, f4 to f7 are called as in the paper; sizes (how few triplets are enough) and methods (all of them on the same
premises) are no tables of it. `baselines.py` holds the models that several have in their rows; `alone.py` and `peak.py` are
the programs by which t13 measures.
"""
