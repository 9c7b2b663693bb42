"""Contrastive decoding as a skilled user of transformers would write it: what `gen` is measured against.

Both write argmax(l - omega * noise) at every step, one role of hypotheses in a call:

    guided     decoder-only: `model.generate` with its two-prompt guidance processor, which adds up
               s * log p + (1 - s) * log p_noise; at s = 1 / (1 - omega) that is s * (l - omega * noise) plus a constant
    two_pass   encoder-decoder (the processor cannot feed one): a loop over `model(...)` with its cache, the prompts and
               their noise prompts as one batch of 2B rows

Rows are taken in the order given, `batch` at a time; who wants little padding sorts them by length first.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import BatchEncoding

from stages.models.llm.model import LanguageModel


def guided(
    model: Any,
    tokenizer: Any,
    own: Sequence[str],
    noise: Sequence[str],
    *,
    omega: float,
    batch: int,
    max_new_tokens: int,
    ends: Collection[int],
) -> list[str]:
    """What a decoder-only model writes after each prompt of `own`, against the prompt of `noise` in the same place.

    A row ends with a token of `ends` (`line_ends`), or after `max_new_tokens`; its text is cut before the first newline.
    The model must know positions relatively (rotary): the processor does not count them past the padding of its prompt.
    """
    written: list[str] = []
    for first, second in _batches(own, noise, batch):
        asked, opposite = (_padded(tokenizer, texts, model.device, "left") for texts in (first, second))
        with torch.inference_mode():
            found = model.generate(
                **asked,
                negative_prompt_ids=opposite["input_ids"],
                negative_prompt_attention_mask=opposite["attention_mask"],
                guidance_scale=1 / (1 - omega),
                do_sample=False,
                max_new_tokens=max_new_tokens,
                eos_token_id=sorted(ends) or None,
                pad_token_id=tokenizer.pad_token_id,
                use_cache=True,
            )
        written += _lines(tokenizer, found[:, asked["input_ids"].shape[1] :], ends)
    return written


@torch.inference_mode()
def two_pass(
    model: Any,
    tokenizer: Any,
    own: Sequence[str],
    noise: Sequence[str],
    *,
    omega: float,
    batch: int,
    max_new_tokens: int,
    ends: Collection[int],
) -> list[str]:
    """What an encoder-decoder model answers to each prompt of `own`; arguments and end of a row as in `guided`."""
    stops = torch.tensor(sorted(ends), dtype=torch.long, device=model.device)
    written: list[str] = []
    for first, second in _batches(own, noise, batch):
        asked = _padded(tokenizer, [*first, *second], model.device, "right")  # 2B rows
        states = model.get_encoder()(**asked)
        token = torch.full((len(first),), model.config.decoder_start_token_id, device=model.device)
        ended = torch.zeros(len(first), dtype=torch.bool, device=model.device)
        tokens, cache = [], None
        for _ in range(max_new_tokens):
            out = model(
                encoder_outputs=states,
                attention_mask=asked["attention_mask"],
                decoder_input_ids=token.repeat(2)[:, None],
                past_key_values=cache,
                use_cache=True,
            )
            cache = out.past_key_values
            logits, opposite = out.logits[:, -1].float().chunk(2)
            token = (logits - omega * opposite).argmax(-1)
            tokens.append(token)
            if ends:
                ended |= torch.isin(token, stops)
                if bool(ended.all()):
                    break
        written += _lines(tokenizer, torch.stack(tokens, 1), ends)
    return written


def plain(llm: LanguageModel) -> Any:
    """The library's model with the weights of `llm`, as it comes: without our attention."""
    model = copy.deepcopy(llm.model)
    model.set_attn_implementation("sdpa")
    return model


def line_ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end a line: the model's ends of text, and every token with a newline in it."""
    eos = model.generation_config.eos_token_id
    texts = enumerate(tokenizer.batch_decode([[token] for token in range(len(tokenizer))]))
    newlines = [token for token, text in texts if "\n" in text]
    return frozenset([*newlines, *([] if eos is None else [eos] if isinstance(eos, int) else eos)])


def _batches(own: Sequence[str], noise: Sequence[str], batch: int) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    for start in range(0, len(own), batch):
        yield own[start : start + batch], noise[start : start + batch]


def _padded(tokenizer: Any, texts: Sequence[str], device: torch.device, side: str) -> BatchEncoding:
    found: BatchEncoding = tokenizer(list(texts), padding=True, padding_side=side, return_tensors="pt")
    # Some tokenizers add segment ids, which no language model reads.
    kept = {name: found[name] for name in ("input_ids", "attention_mask")}
    return BatchEncoding(kept).to(device)


def _lines(tokenizer: Any, tokens: Tensor, ends: Collection[int]) -> list[str]:
    """The text of each row of new tokens (rows, T) up to its first end token, cut before the first newline."""
    lines = []
    for row in tokens.tolist():
        length = next((place + 1 for place, token in enumerate(row) if token in ends), len(row))
        text = tokenizer.decode(row[:length], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        lines.append(text.partition("\n")[0])
    return lines
