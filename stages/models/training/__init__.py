"""Training an encoder: the losses, and the steps that minimise them.

loss         every loss with its equation: vectors in, a mean out
mask         what of a batch is no negative (eq. 6)
survey       what a mask removes from the batches of a training, before its first step and pair by pair
recipe       what a training is told, and the order, seeds and learning rates that follow from it
objective    the loss of a batch, with the mask, labels or teacher's vectors that lie beside the examples
fit          Training: steps that a kill does not change
token_rows   the examples' token ids, held compactly
parts        a batch encoded in parts with the gradient of the whole (GradCache)
ranks        the processes of one training
modules      the losses for sentence-transformers' own trainer (`multicsr.losses`)
frozen       the vectors of a model that is not trained, for these
"""
