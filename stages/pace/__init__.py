"""How fast a stage asks its model, and where the model is. What is computed depends on none of it.

batches      how much at once: asked for, or what fits into memory; half of it where that runs out
workers      the Engine that a stage hands its pure middle to, and the one in this process
ray_workers  the same in many processes, by Ray
assignments  which of these has which items
vectors      sentence vectors, kept in the store or computed
lookup       the sentences of a file that are nearest to one
"""
