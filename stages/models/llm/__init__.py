"""Language models, from what is asked of one down to its attention. All know `request`; else none imports one above it.

request      Prompt, Line, Draft: what is asked and what comes back; the protocols Writer and Reader. No torch
model        LanguageModel: a Writer and a Reader on this machine
decoding     contrastive decoding (MultiCSR, eq. 1-2), lines side by side in slots
likelihood   log-likelihoods of given words, and the mean of a number
sampling     which token comes next
streams      rows in flight of a decoder-only and of an encoder-decoder model
backend      the transformers model, its tokenizer, and the prefixes that it has read
forward      what goes through one forward pass together
cache        keys and values in buffers with room to spare
attention    attention over a prefix that many rows share
hosted       HostedModel: a Writer behind an OpenAI-compatible server, by completions (the protocol). No torch
"""
