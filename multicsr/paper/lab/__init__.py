"""How the nodes of an experiment become runs.

lab.py        makes what is wanted, or finds it in the store
jobs.py       a node, and the runs that it is made from, as the job of its stage
twins.py      trainings that would repeat another step by step
at_hand.py    the tasks that can be measured
material.py   the files that experiments are made from: of the data folder, of the hub, or written here
languages.py  of these, what is learned from and tested in a language with little data
"""
