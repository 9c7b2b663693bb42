"""Which token comes next: the best of a row of scores, or a draw from their nucleus (Holtzman et al., 2020).

A draw is a Gumbel-max: argmax(scores + noise) is distributed as softmax(scores), and the noise follows from a seed and a
key alone. Where rounding could tip a choice, the caller is asked for scores computed alone, and those decide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from stages.models.llm.request import Sampling

# Scores closer than this (in logits) are settled alone. Float32 batches were seen to move a contrasted score by up to
# 1e-4; at most one step in a thousand is this close.
CLOSE_CALL = 1e-3

# The best of a row of scores is looked for in blocks of this many.
BLOCK = 64


def choose(
    scores: Tensor,
    sampling: Sampling | None,
    keys: Sequence[str],
    settle: Callable[[int], Tensor | None] | None,
) -> Tensor:
    """The next token of each row: scores (rows, V) -> (rows,).

    `settle(row)` gives a row's scores computed alone, or None where nobody wants to know; it is asked where two choices
    lie within `CLOSE_CALL`.
    """
    if sampling is None:
        if settle is None:
            return best(scores)
        two = scores.topk(2, dim=-1)
        tokens = two.indices[:, 0].clone()
        for row in (two.values[:, 0] - two.values[:, 1] < CLOSE_CALL).nonzero()[:, 0].tolist():
            alone = settle(row)
            tokens[row] = tokens[row] if alone is None else alone.argmax()
        return tokens
    tokens = torch.empty(len(scores), dtype=torch.long, device=scores.device)
    for row, key in enumerate(keys):
        draw = gumbel(sampling.seed, key, scores.shape[-1]).to(scores.device)
        token, sure = _sample(scores[row], draw, sampling)
        if settle is not None and not sure and (alone := settle(row)) is not None:
            token, _ = _sample(alone, draw, sampling)
        tokens[row] = token
    return tokens


def best(scores: Tensor) -> Tensor:
    """The place of the highest score of each row, the first of equals: (rows, V) -> (rows,).

    The same as argmax, which walks a long row score by score: here the best block is found first, by its maximum.
    """
    rows, vocabulary = scores.shape
    blocks = functional.pad(scores, (0, -vocabulary % BLOCK), value=-torch.inf).view(rows, -1, BLOCK)
    block = blocks.amax(-1).argmax(-1)  # (rows,)
    within = blocks[torch.arange(rows, device=scores.device), block].argmax(-1)
    return block * BLOCK + within


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
