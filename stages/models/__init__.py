"""Models: the only place where torch lives. Knows neither store nor stages.

aliases      short names, and which model of a kind is embedded
folders      where a model lies on this machine and on the hub, its kind, its fingerprint
catalog      from a name to a `Located` or `Hosted` model; what `multicsr models` lists
device       what --device and --dtype mean here
loading      from a located model to one in memory
memory       how much is free, how much a piece of work takes
checkpoint   encoders on disk, as sentence-transformers reads them, and the state of a training
llm/         language models: contrastive decoding, likelihoods, servers
encoder/     sentence encoders and NLI classifiers
training/    losses, and the training that minimises them
"""

import os

# How long OpenMP threads spin before they sleep while waiting for one another. The default (milliseconds) loses whole time
# slices to any other busy process: on two cores one such neighbour made scoring 15 times slower. Sleeping at once halves
# the speed of decoding, whose steps are short. About ten microseconds gives up neither. Read when torch is first loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
