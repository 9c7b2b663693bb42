"""Contrastive decoding (MultiCSR, eq. 1-2): the next token is chosen from softmax(l - sum_j w_j * l_j).

Arrow: premise -> hypotheses; this is the inside of `gen`, and without noise it also writes the replies `score` asks for.

One `Line` is one text being written. It owns a stream (its instruction, l) and one for each of its noises (l_j, of weight
w_j); all are fed the same token, so all always see the same prefix y_<t. In the paper there is one, the opposite
instruction, with weight omega. The entailment and the contradiction of a premise are each other's noise: their two
prompts are read once and serve all four streams.

    prompts      0 = "write an entailment of x"      1 = "write a contradiction of x"
    lines        y+ : own 0, noises (1, omega)       y- : own 1, noises (0, omega)
    streams      own(y+)  own(y-)  noise(y+)  noise(y-)          one row each, one forward pass a step

A number of lines is written side by side, each at a desk; when some are done, the next ones sit down in their places while
the others go on, so no line waits for the slowest:

    choose a token for every line  ->  lines that are done get up  ->  feed the tokens  ->  the next lines sit down

What a line writes depends only on its own prompts and key. Batches change sums in their last bits; in float32, where
such a change could tip the choice, the step is computed again alone (`Backend.alone`) and that decides.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from stages.models.llm.backend import Backend
from stages.models.llm.request import Draft, Line, Prompt, Sampling
from stages.models.llm.streams import open_streams

# Scores closer than this (in logits) are settled alone. Float32 batches were seen to move a contrasted score by up to
# 1e-4; at most one step in a thousand is this close.
CLOSE_CALL = 1e-3

# Desks are taken again, or given up, once this share of them is empty: either costs a pass or a copy, idling wastes rows.
IDLE_SHARE = 0.125

# Lines whose scores over the vocabulary are looked at together: what stays in a processor's cache, and on a GPU in memory.
SCORED_AT_ONCE = {"cpu": 8, "cuda": 256}

# The best of a row of scores is looked for in blocks of this many.
BLOCK = 64


def writing(
    llm: Backend,
    prompts: Sequence[Prompt],
    lines: Sequence[Line],
    max_tokens: int,
    ends: Callable[[str], bool],
    sampling: Sampling | None = None,
    at_once: int | None = None,
) -> Iterator[list[tuple[int, Draft]]]:
    """Write every line to its end: an end-of-text token, `ends(text)` true, or `max_tokens`.

    `at_once` lines are written side by side (None: all). Yields lines that are done, as (place in `lines`, draft), before
    others begin. Greedy unless `sampling` is given. A line without noise is ordinary decoding; each line costs as many
    streams as the one with most noises.
    """
    if not lines:
        return
    waiting = deque(range(len(lines)))
    size = min(at_once or len(lines), len(lines))
    desks = _Desks(llm, prompts, lines, sampling, size)
    desks.seat([waiting.popleft() for _ in range(size)])
    done: list[tuple[int, Draft]] = []
    while desks.taken:
        for desk, token in zip(desks.taken, desks.choose(), strict=True):
            place, tokens = desks.line[desk], desks.written[desk]
            if token not in llm.eos:
                tokens.append(token)
            text = llm.text(tokens)
            ended = token in llm.eos or ends(text)
            if ended or len(tokens) == max_tokens:
                done.append((place, Draft(text, len(tokens), ended)))
                desks.leave(desk)
        if desks.idle_share < IDLE_SHARE:
            desks.step()
            continue
        if done:
            yield done
            done = []
        if not waiting:
            desks.close()
        if desks.taken:
            desks.step()
        if waiting and (llm.joins or not desks.taken):
            desks.seat([waiting.popleft() for _ in range(min(len(desks.free), len(waiting)))])


class _Desks:
    """The lines being written side by side: which line sits at which desk, what it wrote, and the rows of its streams.

    Desk i of n has row i of the streams, and row j * n + i for its j-th noise. A line with fewer noises than another has rows
    that count for nothing.
    """

    def __init__(
        self,
        llm: Backend,
        prompts: Sequence[Prompt],
        lines: Sequence[Line],
        sampling: Sampling | None,
        size: int,
    ) -> None:
        self.llm = llm
        self.prompts = prompts
        self.lines = lines
        self.sampling = sampling
        self.size = size
        self.layers = 1 + max(len(line.noises) for line in lines)  # own, and noises
        self.line: dict[int, int] = {}  # desk -> place in `lines`
        self.written: dict[int, list[int]] = {}  # desk -> tokens
        self.chosen = torch.zeros(size, dtype=torch.long)  # the newest token of each desk
        self.weights = torch.zeros((self.layers - 1, size))
        self.streams = open_streams(llm, self.layers * size)

    @property
    def taken(self) -> list[int]:
        return list(self.line)

    @property
    def free(self) -> list[int]:
        return [desk for desk in range(self.size) if desk not in self.line]

    @property
    def idle_share(self) -> float:
        return 1 - len(self.line) / self.size

    def seat(self, places: Sequence[int]) -> None:
        """Let lines sit down at free desks: their prompts are read, each once."""
        if not self.line:
            self.streams = open_streams(self.llm, self.layers * self.size)
        rows, wanted = list[int](), list[int]()
        for desk, place in zip(self.free, places, strict=False):
            line = self.lines[place]
            self.line[desk], self.written[desk] = place, []
            prompts = [line.own, *(noise.prompt for noise in line.noises)]
            rows += range(desk, self.layers * self.size, self.size)
            wanted += prompts + [line.own] * (self.layers - len(prompts))
        read = {prompt: order for order, prompt in enumerate(dict.fromkeys(wanted))}
        self.streams.start(rows, [self.prompts[prompt] for prompt in read], [read[prompt] for prompt in wanted])
        self._weigh()

    def leave(self, desk: int) -> None:
        """The line at this desk is done."""
        del self.line[desk], self.written[desk]

    def close(self) -> None:
        """Give up the free desks; the others close ranks."""
        kept = sorted(self.line)
        if not kept:
            return
        self.streams.select([layer * self.size + desk for layer in range(self.layers) for desk in kept])
        self.line = {new: self.line[desk] for new, desk in enumerate(kept)}
        self.written = {new: self.written[desk] for new, desk in enumerate(kept)}
        self.chosen, self.size = self.chosen[kept], len(kept)
        self._weigh()

    def step(self) -> None:
        """Feed each line's newest token to its streams."""
        self.streams.step(self.chosen.repeat(self.layers))

    def choose(self) -> list[int]:
        """The next token of each taken desk, in the order of `taken`."""
        some = SCORED_AT_ONCE[self.llm.device.type]
        own, *noises = self.streams.logits.unflatten(0, (self.layers, self.size))  # (n, V) each
        keys, settle = [""] * self.size, self._alone if self.llm.exact else None
        for desk, place in self.line.items():
            keys[desk] = f"{self.lines[place].key}/{len(self.written[desk])}"
        found = []
        for start in range(0, self.size, some):
            part = slice(start, min(start + some, self.size))
            scores = own[part].float()
            for noise, weights in zip(noises, self.weights, strict=True):  # l - w_j * l_j in float32 (eq. 2)
                scores = scores - weights[part, None] * noise[part].float()
            found.append(choose(scores, self.sampling, keys[part], settle and _shifted(settle, start)))
        self.chosen = torch.cat(found).cpu()
        tokens = self.chosen.tolist()
        return [tokens[desk] for desk in self.line]

    def _weigh(self) -> None:
        """The weight of each noise of each desk, where the scores are: (noises, n)."""
        weights = torch.zeros((self.layers - 1, self.size))
        for desk, place in self.line.items():
            for layer, noise in enumerate(self.lines[place].noises):
                weights[layer, desk] = noise.weight
        self.weights = weights.to(self.llm.device)

    def _alone(self, desk: int) -> Tensor | None:
        """The scores (V,) of a desk computed again, alone; None for a free desk."""
        if desk not in self.line:
            return None
        line, tokens = self.lines[self.line[desk]], self.written[desk]
        scores = self.llm.alone(self.prompts[line.own], tokens)
        for noise in line.noises:
            scores = scores - noise.weight * self.llm.alone(self.prompts[noise.prompt], tokens)
        return scores


def _shifted(settle: Callable[[int], Tensor | None], start: int) -> Callable[[int], Tensor | None]:
    return lambda row: settle(start + row)


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
