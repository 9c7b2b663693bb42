"""Models that read: sentence encoders and NLI classifiers.

model        Encoder: texts in, vectors out; the poolers
packed       a batch laid end to end instead of padded, and its attention
dropout      dropout from 16 random bits a value
template     PromptBERT's cloze around a sentence
pooling      how a folder says its tokens are pooled. No torch
classifier   Classifier: the probabilities of an NLI model
labels       which of its outputs means what. No torch
"""
