"""The paper's tables and figures, one experiment each: which runs, what varies, what is measured, which claim is tested.

plan.py       a run that is wanted, as a value: equal ones are the same run, in whichever experiment they are asked for
lab.py        makes what is wanted over the ordinary stages, or finds it in the store
matching.py   whether a run of the store is the one that is wanted
material.py   files that no folder of data holds
scales.py     everything that tells `mini` from `paper`
measured.py   the experiments whose rows are trained models: figures, paired tests, table, plot
drawn.py      these as dots or curves
declared.py   those of the paper
beside.py     what the paper has no table of: how few triplets are enough, every method on the same premises
read.py       the experiments that are a function of the store
written.py    those that read what the LLM wrote: texts, ω sweep, cosines
scorers.py    the LLM itself as scorer of sentence pairs
costs.py      time and memory of a training; peak.py measures the memory
claims.py     whether a claim of the paper holds, in one sentence
outcome.py    what an experiment ends with: table, plot and sentences, as Markdown, LaTeX and CSV
estimate.py   GPU hours and disk of what is still to be made
results.py    the page of all stored results
"""
