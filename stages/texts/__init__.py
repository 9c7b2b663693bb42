"""What is asked of a language model in words, and what its words are read as. No model is loaded here.

prompts         sets of prompts: TOML files, their templates, instructions and shots
demonstrations  which labelled triplets are shown with a premise (MultiCSR, appendix G)
replies         where a sentence ends, what is decoration, what is no answer, which number is meant
similarity      how similar two texts are by the word of an LLM, asked or read off its likelihoods (MultiCSR, eq. 3)
scorers         who says how similar: an LLM, an encoder, an NLI classifier
"""
