"""How likely an LLM finds given words: log-likelihoods of continuations, and the mean of a number it could answer with.

Arrow: hypotheses -> scores; this is the inside of `score --by likelihood` and `score --by prompt --expected`.

Nothing is generated: prompt and continuation are read in one pass. What many prompts share is read once, prompts of
alike length stand together, and only the continuation's positions go through the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stages.models.request import Prompt
from stages.models.streams import DecoderStreams, common, padded_right

if TYPE_CHECKING:
    from stages.models.language import LanguageModel

# Tokens of one forward pass. More gains nothing: the matrix products are saturated, and activations that leave the
# processor's cache cost more than they save.
TOKENS_AT_ONCE = 2048

# How near (in hundredths of a nat) a float32 likelihood must lie to a rounding border to be computed again alone.
# Batched and lone sums were seen to differ by less than 2e-5 nats; this is 5 times that.
CLOSE_ROUNDING = 0.01

# The same for an expectation, in thousandths.
CLOSE_EXPECTATION = 0.1

Split = tuple[list[int], list[int]]  # ids of a prompt, ids of what follows it


def log_likelihoods(llm: LanguageModel, pairs: Sequence[tuple[Prompt, str]]) -> list[float]:
    """log p(continuation | prompt) in nats, summed over the continuation's tokens, one figure a pair.

    Figures are rounded to a hundredth of a nat. In float32 a figure whose rounding the batch could tip is computed
    again alone, so it does not depend on what else is in `pairs`.
    """
    split = [_split(llm, prompt, text) for prompt, text in pairs]
    shared = [llm.shared(prompt, ids) for (prompt, _), (ids, _) in zip(pairs, split, strict=True)]
    found = [0.0] * len(pairs)
    # Alike lengths together, so that little is padded; what a prefix holds is not read again and does not count.
    lengths = [len(ids) - head + len(rest) for head, (ids, rest) in zip(shared, split, strict=True)]
    order = sorted(range(len(pairs)), key=lambda place: (lengths[place], len(split[place][1])))
    for places in _pieces(order, lengths):
        values = _together(llm, [shared[place] for place in places], [split[place] for place in places])
        for place, value in zip(places, values, strict=True):
            found[place] = value
    if llm.exact:
        for i, value in enumerate(found):
            if abs((value * 100) % 1 - 0.5) < CLOSE_ROUNDING:
                found[i] = _alone(llm, split[i])
    return [round(value, 2) for value in found]


def expectations(llm: LanguageModel, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[float] | None:
    """Sum over the numbers `choices` of number * p(number | prompt), p renormalised over the choices.

    None if a choice is not a single token of this model. Rounded to a thousandth, in float32 whatever else is in
    `prompts`.
    """
    tokens = [llm.tokenizer(choice, add_special_tokens=False).input_ids for choice in choices]
    if any(len(ids) != 1 for ids in tokens):
        return None
    columns = [ids[0] for ids in tokens]
    numbers = torch.tensor([float(choice) for choice in choices], dtype=torch.float64, device=llm.device)

    def mean(logits: Tensor) -> Tensor:  # (..., V) -> (...)
        return logits[..., columns].double().softmax(-1) @ numbers

    found: list[float] = mean(llm.open(prompts, room=0).logits).tolist()
    if llm.exact:
        for place, value in enumerate(found):
            if abs((value * 1000) % 1 - 0.5) < CLOSE_EXPECTATION:
                found[place] = float(mean(llm.alone(prompts[place], [])))
    return [round(value, 3) for value in found]


def _split(llm: LanguageModel, prompt: Prompt, text: str) -> Split:
    """Prompt ids and continuation ids; a decoder-only tokenizer sees them as one text, as in generation."""
    ids = llm.ids(prompt.text)
    if llm.encoder_decoder:
        return ids, llm.tokenizer(text.strip(), add_special_tokens=False).input_ids
    whole = llm.ids(prompt.text + text)
    border = common(ids, whole)
    return whole[:border], whole[border:]


def _together(llm: LanguageModel, shared: Sequence[int], split: Sequence[Split]) -> list[float]:
    """The figures of one batch; the first shared[i] ids of row i are a prefix."""
    continuations = [continuation for _, continuation in split]
    if llm.encoder_decoder:
        return _sums(_teacher_forced(llm, [ids for ids, _ in split], continuations), continuations, [0] * len(split))
    longest = max(len(continuation) for continuation in continuations)
    rows = [
        (tuple(ids[:head]), ids[head:] + continuation[:-1])
        for head, (ids, continuation) in zip(shared, split, strict=True)
    ]
    streams = DecoderStreams(llm, rows, room=0, keep=longest)
    starts = [longest - len(continuation) for continuation in continuations]
    return _sums(streams.kept, continuations, starts)


def _alone(llm: LanguageModel, split: Split) -> float:
    """The same figure without batch, padding or cache."""
    ids, continuation = split
    if llm.encoder_decoder:
        logits = _teacher_forced(llm, [ids], [continuation])
    else:
        read = llm.tensor([ids + continuation[:-1]])
        logits = llm.model(input_ids=read, use_cache=False, logits_to_keep=len(continuation)).logits
    return _sums(logits, [continuation], [0])[0]


def _teacher_forced(llm: LanguageModel, prompts: Sequence[list[int]], answers: Sequence[list[int]]) -> Tensor:
    """Logits (rows, longest answer, V) of an encoder-decoder model that is fed each answer."""
    start = llm.model.config.decoder_start_token_id
    inputs, mask = padded_right(prompts, llm.device)
    decoder_inputs, decoder_mask = padded_right([[start, *answer[:-1]] for answer in answers], llm.device)
    out = llm.model(
        input_ids=inputs,
        attention_mask=mask,
        decoder_input_ids=decoder_inputs,
        decoder_attention_mask=decoder_mask,
        use_cache=False,
    )
    logits: Tensor = out.logits
    return logits


def _pieces(order: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Cut `order` into runs of places whose padded lengths add up to at most `TOKENS_AT_ONCE`."""
    piece: list[int] = []
    longest = 0
    for place in order:
        longest = max(longest, lengths[place])
        if piece and longest * (len(piece) + 1) > TOKENS_AT_ONCE:
            yield piece
            piece, longest = [], lengths[place]
        piece.append(place)
    if piece:
        yield piece


def _sums(logits: Tensor, targets: Sequence[Sequence[int]], starts: Sequence[int]) -> list[float]:
    """Sum over t of log softmax(logits[i, starts[i] + t])[targets[i][t]], in float32; logits (rows, T, V)."""
    row, column, token = list[int](), list[int](), list[int]()
    for i, (target, start) in enumerate(zip(targets, starts, strict=True)):
        row += [i] * len(target)
        column += range(start, start + len(target))
        token += target
    picked = logits[row, column].float()  # (all target tokens, V)
    wanted = torch.tensor(token, device=logits.device)
    log_probs = picked.gather(1, wanted[:, None])[:, 0] - picked.logsumexp(-1)  # (all target tokens,)
    sums: list[float] = []
    for part in log_probs.double().cpu().split([len(target) for target in targets]):
        sums.append(float(part.sum()))
    return sums
