"""What jobs are made with. Arrow: names and flags -> models, servers, processes, found and not loaded.

names.py              who is meant by a name: premises, an LLM, a device and its number format
encoders.py           an encoder or a train run by its name
training_encoders.py  the base of a training, its mask model and its teacher
chosen.py             the mask model and the dev task that go with a base
demonstrations.py     a labelled corpus that is shown with premises
server.py             an LLM behind a server: what is asked of it, and what it cost
workplace.py          one process, or many by Ray
told.py               what a shell or a notebook tells a stage, taken apart into these
ranks.py              the processes that torchrun started
"""
