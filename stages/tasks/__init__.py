"""What a model is measured on. A task knows of it only `encode(texts) -> vectors`, and imports neither store nor stages.

task        the protocol Task, its Figure, and Encode
registry    every task by its name, the groups of tasks, and those that a data folder holds

sts         StsTask: pairs with gold scores, by Spearman (SentEval's layout)
own         the same of a file of one's own
analysis    alignment and uniformity beside an STS task's own figures
transfer    TransferTask: classes found from vectors by a probe (SentEval's protocol); senteval reads its files
retrieval   RetrievalTask: which documents answer a query, as trec_eval judges; beir reads its folders
bitext      BitextTask: is the nearest sentence of the other language the translation

probe       the two probes; adam is SentEval's, convex goes to the optimum, linear is what they share
neighbours  exact nearest neighbours by cosine
ranking     figures of a ranked list
metrics     Spearman's correlation with its standard error, and the p values of a family of tests
compare     two models on the same items: the paired bootstrap
hierarchy   several trainings of two models on the same items: the hierarchical bootstrap
whitening   a linear map after which vectors have covariance I
files       reading benchmark data; Absent
"""
