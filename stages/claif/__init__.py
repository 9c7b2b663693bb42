"""CLAIF (Cheng et al., 2023, "Improving Contrastive Learning of Sentence Embeddings from AI Feedback"), the second method.

rewrites  a premise with some of its words masked, and what is asked to fill the masks (section 3.1)
pairs     which rewrites are learned from, with which label, and with which random others (section 3.3)

Scores are asked for as for MultiCSR (`stages/texts/similarity.py`), and the loss is one of `stages/models/training`.
"""
