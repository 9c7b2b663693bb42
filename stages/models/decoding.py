"""Contrastive decoding (MultiCSR, eq. 1-2): the next token is chosen from softmax(l - omega * noise).

Arrow: premise -> hypotheses; this is the inside of `gen`, and with omega = 0 it also writes the replies `score` asks for.

One `Line` is one text being written. It owns a stream (its instruction, l) and may have a noise stream (the opposite
instruction); both are fed the same token, so both always see the same prefix y_<t. The entailment and the
contradiction of a premise are each other's noise: their two prompts are read once and serve all four streams.

    prompts      0 = "write an entailment of x"      1 = "write a contradiction of x"
    lines        y+ : own 0, noise 1                 y- : own 1, noise 0
    streams      own(y+)  own(y-)  noise(y+)  noise(y-)          one row each, one forward pass a step

What a line writes depends only on its own prompts and key. Batches change sums in their last bits; in float32, where
such a change could tip the choice, the step is computed again alone (`LanguageModel.alone`) and that decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stages.models.request import Draft, Line, Prompt, Sampling

if TYPE_CHECKING:
    from stages.models.language import LanguageModel

# Scores closer than this (in logits) are settled alone. Float32 batches were seen to move a contrasted score by up to
# 1e-4; at most one step in a thousand is this close.
CLOSE_CALL = 1e-3

# Finished lines are dropped from the batch once this share of it is idle: dropping copies the cache, idling wastes rows.
IDLE_SHARE = 0.125


def write(
    llm: LanguageModel,
    prompts: Sequence[Prompt],
    lines: Sequence[Line],
    max_tokens: int,
    ends: Callable[[str], bool],
    sampling: Sampling | None = None,
) -> list[Draft]:
    """Write every line to its end: an end-of-text token, `ends(text)` true, or `max_tokens`.

    Greedy unless `sampling` is given. With omega = 0 (or no noise) a line is ordinary decoding and costs one stream.
    """
    streams = llm.open(prompts, room=max_tokens)
    written: list[list[int]] = [[] for _ in lines]
    ended = [False] * len(lines)
    active = list(range(len(lines)))  # the lines that still have rows in the batch, in row order
    rows, contrasted = _rows(lines, active)
    streams.select(rows)
    for step in range(max_tokens):
        scores = _contrast(streams.logits, lines, active, contrasted)  # (active, V)
        settle = _Settle(llm, prompts, lines, active, written) if llm.exact else None
        keys = [f"{lines[line].key}/{step}" for line in active] if sampling else []
        tokens = choose(scores, sampling, keys, settle)  # (active,)
        for line, token in zip(active, tokens.tolist(), strict=True):
            if ended[line]:
                continue
            if token in llm.eos:
                ended[line] = True
            else:
                written[line].append(token)
                ended[line] = ends(llm.text(written[line]))
        waiting = [place for place, line in enumerate(active) if not ended[line]]
        if not waiting or step == max_tokens - 1:
            break
        if len(waiting) <= (1 - IDLE_SHARE) * len(active):
            noise_place = {place: len(active) + order for order, place in enumerate(contrasted)}
            keep = waiting + [noise_place[place] for place in waiting if place in noise_place]
            streams.select(keep)
            tokens, active = tokens[waiting], [active[place] for place in waiting]
            _, contrasted = _rows(lines, active)
        streams.step(torch.cat([tokens, tokens[contrasted]]))
    return [Draft(llm.text(tokens), len(tokens), done) for tokens, done in zip(written, ended, strict=True)]


def _rows(lines: Sequence[Line], active: Sequence[int]) -> tuple[list[int], list[int]]:
    """(prompt of each stream: all own streams, then the noise streams; which places in `active` have a noise stream)."""
    contrasted = [place for place, line in enumerate(active) if lines[line].omega and lines[line].noise is not None]
    noises = [noise for place in contrasted if (noise := lines[active[place]].noise) is not None]
    return [lines[line].own for line in active] + noises, contrasted


def _contrast(logits: Tensor, lines: Sequence[Line], active: Sequence[int], contrasted: Sequence[int]) -> Tensor:
    """l - omega * noise in float32 (eq. 2): logits (active + contrasted, V) -> (active, V)."""
    scores = logits[: len(active)].float()
    if contrasted:
        omega = torch.tensor([lines[active[place]].omega for place in contrasted], device=logits.device)
        noise = logits[len(active) :].float()
        if len(contrasted) == len(active):
            return scores - omega[:, None] * noise
        scores = scores.clone()
        scores[list(contrasted)] -= omega[:, None] * noise
    return scores


@dataclass
class _Settle:
    """Computes the scores of one place again, alone."""

    llm: LanguageModel
    prompts: Sequence[Prompt]
    lines: Sequence[Line]
    active: Sequence[int]
    written: Sequence[list[int]]

    def __call__(self, place: int) -> Tensor:
        line = self.lines[self.active[place]]
        tokens = self.written[self.active[place]]
        scores = self.llm.alone(self.prompts[line.own], tokens)
        if line.omega and line.noise is not None:
            scores = scores - line.omega * self.llm.alone(self.prompts[line.noise], tokens)
        return scores  # (V,)


def choose(
    scores: Tensor, sampling: Sampling | None, keys: Sequence[str], settle: Callable[[int], Tensor] | None
) -> Tensor:
    """The next token of each row: scores (rows, V) -> (rows,).

    `settle(row)` gives a row's scores computed alone; it is asked where two choices lie within `CLOSE_CALL`.
    """
    if sampling is None:
        if settle is None:
            return scores.argmax(-1)
        best = scores.topk(2, dim=-1)
        tokens = best.indices[:, 0].clone()
        for row in (best.values[:, 0] - best.values[:, 1] < CLOSE_CALL).nonzero()[:, 0].tolist():
            tokens[row] = settle(row).argmax()
        return tokens
    tokens = torch.empty(len(scores), dtype=torch.long, device=scores.device)
    for row, key in enumerate(keys):
        draw = gumbel(sampling.seed, key, scores.shape[-1]).to(scores.device)
        token, sure = _sample(scores[row], draw, sampling)
        if settle is not None and not sure:
            token, _ = _sample(settle(row), draw, sampling)
        tokens[row] = token
    return tokens


def _sample(scores: Tensor, draw: Tensor, sampling: Sampling) -> tuple[int, bool]:
    """Gumbel-max within the nucleus: (token, whether no change of `CLOSE_CALL` in the scores could alter it)."""
    scaled = scores / sampling.temperature
    slack = CLOSE_CALL / sampling.temperature
    probabilities, order = scaled.softmax(-1).sort(descending=True)
    before = probabilities.cumsum(0) - probabilities  # mass of the likelier tokens
    perturbed = (scaled + draw)[order]

    def pick(top_p: float, slack: float) -> tuple[int, float]:
        last = max(int((before < top_p).sum()) - 1, 0)
        inside = perturbed.where(probabilities >= probabilities[last] * (1 - slack), -torch.inf)
        best = inside.topk(2).values
        return int(inside.argmax()), float(best[0] - best[1])

    token, _ = pick(sampling.top_p, 0.0)
    # Sure: the token beats every other that could be in the nucleus, and it would be in itself even behind all its equals.
    wide, margin = pick(sampling.top_p + slack, slack)
    equals = (probabilities >= probabilities[token] * (1 - slack)).sum()
    certain = bool(probabilities[:equals].sum() - probabilities[token] < sampling.top_p - slack) or int(equals) == 1
    return int(order[token]), token == wide and certain and margin >= slack


def gumbel(seed: int, key: str, size: int) -> Tensor:
    """Standard Gumbel noise (size,) that depends only on seed and key, on every device and at any time."""
    digest = hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
    uniform = torch.rand(size, generator=generator, dtype=torch.float64).clamp_(1e-300, 1 - 1e-16)
    return (-(-uniform.log()).log()).float()
