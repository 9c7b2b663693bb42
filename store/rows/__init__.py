"""What stages write, and read back to go on: a module for each kind of row, along the arrow.

`premises`, `imports`       sentences of a source; triplets and pairs that were made elsewhere
`drafts`, `scores`          the hypotheses as written, and how like their premise they are
`decisions`, `partners`     the rule's verdict on triplets; which pairs are kept (CLAIF)
`reviews`                   a person's word over a verdict
`training`, `masked`        triplets to train on, steps, checkpoints, figures; the negatives that a mask removed
`judgements`, `vectors`     what an LLM answered to a task; vectors that an encoder has computed
`merging`                   shards of a run, each in its own store, into one
"""
