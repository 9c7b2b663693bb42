"""The paper's tables and figures, one experiment each: which runs, what varies, what is measured, which claim is tested.

reproduction.py  the experiments by name, and several of them made
experiments/     one file each
trained/         the kind whose rows are trained models: figures, verdicts, table, plot
read.py          the kind that reads what an LLM wrote
node.py          a run that is wanted, as a value: equal ones are the same run, in whichever experiment they are asked for
lab/             makes what is wanted, as jobs, or finds it in the store
scales.py        everything that tells `mini` from `paper`
languages.py     the languages with little data
claims.py        what is claimed, what was found, and the sentence about it among all claims of a page
outcome.py       what an experiment ends with: table, plot and sentences, as Markdown, LaTeX and CSV
estimate.py      GPU hours and disk of what is still to be made
page.py          the page of all stored results
learnt.py        what they tell beyond the paper's claims
"""
