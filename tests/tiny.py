"""Tiny real models, drawn from fixed seeds and saved as transformers saves them: what a test loads instead of the hub.

All share one byte-level BPE vocabulary, so that every character can be read and words fall into several tokens. Weights
are drawn wide, so that logits differ clearly and what a model writes is varied nonsense.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5ForConditionalGeneration,
)

PAD, EOS, UNK, BOS, CLS, SEP = SPECIAL = ("<pad>", "</s>", "<unk>", "<s>", "[CLS]", "[SEP]")
MASK = "[MASK]"  # of the encoders only, behind the vocabulary that all share
VOCABULARY = 420
WIDTH = 32

CORPUS = [
    "A man is playing a guitar on the street.",
    "A woman is slicing an onion in the kitchen.",
    "Two dogs are running through the tall grass.",
    "The children are building a castle out of sand.",
    "Nobody is sitting on the old wooden bench.",
    "The train to the city leaves at seven in the morning.",
    "She bought three apples and a loaf of bread at the market.",
    "The company reported higher profits than last year.",
    "It has been raining since yesterday afternoon.",
    "An old man is reading a newspaper in the park.",
    "The cat is asleep under the kitchen table.",
    "They travelled across the country by bicycle.",
    "The film was shorter than we had expected.",
    "A group of people is waiting for the bus.",
    "He forgot to lock the door before he left the house.",
    "The museum is closed on Mondays and public holidays.",
    "Sentence: the same meaning in other words.",
    "Write a sentence that must be true if the sentence above is true.",
    "Write a sentence that cannot be true if the sentence above is true.",
    "How similar are the two sentences, from 0 to 5?",
    "A boy throws the ball to his sister.",
    "The river froze during the coldest week of the winter.",
    "Our neighbours have sold their car.",
    "The doctor said that he should rest for 12 days.",
]


def premises() -> list[str]:
    """Twelve premises, from one word to thirty, with a digit, quotes and letters beyond ASCII among them."""
    return [
        "Rain.",
        "Dogs run.",
        "A man sings.",
        "The cat is asleep under the table.",
        "Two boys throw 3 balls to their sister.",
        "A woman is slicing an onion in the old kitchen.",
        'He said "no" and left the house.',
        "Das Café am Fluß ist geöffnet.",
        "The train to the city leaves at seven in the morning, and nobody is waiting for it on the bench.",
        "They travelled across the country by bicycle; it had been raining since yesterday.",
        "The company reported higher profits than last year, although it has sold fewer cars than its neighbours in the "
        "same city and the doctor said that they should rest for a week.",
        "Nobody reads.",
    ]


def _letters() -> list[str]:
    """The byte signs of printable ASCII, a line end, and of the letters beyond it that the premises use."""
    known = "".join(map(chr, range(32, 127))) + "\n" + "".join(premises())
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return sorted({sign for word, _ in split.pre_tokenize_str(known) for sign in word})


@cache
def _vocabulary() -> str:
    """The trained BPE as JSON: trained once, parsed for each tokenizer."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=_letters(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer.to_str()


def tokenizer(template: str, **special: str) -> PreTrainedTokenizerFast:
    """The shared vocabulary; `template` says which special tokens stand around a text, such as `<s> $A`."""
    inner = Tokenizer.from_str(_vocabulary())
    if template != "$A":
        used = [(token, inner.token_to_id(token)) for token in SPECIAL if token in template.split()]
        inner.post_processor = processors.TemplateProcessing(single=template, special_tokens=used)
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token=PAD, unk_token=UNK, **special)


def _draw(model: Any, seed: int) -> None:
    """Draw every matrix anew, wide enough that what stands far back in a prompt still sways the next token."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if weight.dim() < 2:
            weight.data += 0.1 * noise  # norms and biases, a little off 1 and 0
        elif any(part in name for part in ("embed", "shared", "wte", "wpe", "relative_attention_bias")):
            weight.data = 0.5 * noise
        else:
            weight.data = noise * (3.0 if name == "lm_head.weight" else 1.5) / WIDTH**0.5


def _save(model: Any, words: PreTrainedTokenizerFast, folder: Path, seed: int) -> Path:
    with torch.no_grad():
        _draw(model, seed)
    model.eval().save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def save_tiny_t5(folder: Path) -> Path:
    """A two-layer T5 with its own output layer, as Flan-T5 has; a text ends with `</s>`."""
    words = tokenizer(f"$A {EOS}", eos_token=EOS)
    config = T5Config(
        vocab_size=len(words),
        d_model=WIDTH,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        pad_token_id=words.pad_token_id,
        eos_token_id=words.eos_token_id,
        decoder_start_token_id=words.pad_token_id,
    )
    model = T5ForConditionalGeneration(config)
    model.lm_head.weight = torch.nn.Parameter(
        model.lm_head.weight.detach().clone()
    )  # the library ties it, whatever the config says
    return _save(model, words, folder, seed=1)


def save_tiny_gpt2(folder: Path) -> Path:
    """A two-layer GPT-2 (learned absolute positions, 256 of them); no special token stands around a text."""
    words = tokenizer("$A", eos_token=EOS, bos_token=EOS)
    config = GPT2Config(
        vocab_size=len(words),
        n_positions=256,
        n_embd=WIDTH,
        n_layer=2,
        n_head=4,
        tie_word_embeddings=False,
        bos_token_id=words.eos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    return _save(GPT2LMHeadModel(config), words, folder, seed=2)


def save_tiny_llama(folder: Path) -> Path:
    """A two-layer LLaMA (rotary positions, 4 heads on 2 key-value heads); a text starts with `<s>`."""
    words = tokenizer(f"{BOS} $A", eos_token=EOS, bos_token=BOS)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=False,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    return _save(LlamaForCausalLM(config), words, folder, seed=3)


def save_tiny_bert(folder: Path) -> Path:
    """A three-layer BERT encoder of width 32 with a pooler; a text stands between `[CLS]` and `[SEP]`."""
    words = tokenizer(f"{CLS} $A {SEP}", cls_token=CLS, sep_token=SEP, mask_token=MASK, model_max_length=64)
    return _save(BertModel(_encoder_config(BertConfig, words, positions=64)), words, folder, seed=4)


def save_tiny_roberta(folder: Path) -> Path:
    """The tiny BERT's sizes as a RoBERTa, whose positions start behind the padding id; a text stands as in the BERT."""
    words = tokenizer(f"{CLS} $A {SEP}", cls_token=CLS, sep_token=SEP, mask_token=MASK, model_max_length=64)
    return _save(RobertaModel(_encoder_config(RobertaConfig, words, positions=66)), words, folder, seed=6)


def _encoder_config(kind: type[Any], words: Any, positions: int) -> Any:
    """The sizes of a tiny encoder that reads so many positions."""
    return kind(
        vocab_size=len(words),
        hidden_size=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=positions,
        pad_token_id=words.pad_token_id,
    )


def save_tiny_nli(folder: Path, labels: tuple[str, ...] = ("CONTRADICTION", "neutral", "Entailment")) -> Path:
    """A two-layer BERT classifier of pairs, `[CLS] premise [SEP] hypothesis [SEP]`; `labels` are its outputs."""
    words = tokenizer(f"{CLS} $A {SEP}", cls_token=CLS, sep_token=SEP, mask_token=MASK, model_max_length=64)
    special = [(token, words.convert_tokens_to_ids(token)) for token in (CLS, SEP)]
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}", pair=f"{CLS} $A {SEP} $B:1 {SEP}:1", special_tokens=special
    )
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=words.pad_token_id,
        id2label=dict(enumerate(labels)),
    )
    return _save(BertForSequenceClassification(config), words, folder, seed=5)
