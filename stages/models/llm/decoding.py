"""Contrastive decoding (MultiCSR, eq. 1-2): the next token is chosen from softmax(l - sum_j w_j * l_j).

Arrow: premise -> hypotheses; this is the inside of `gen`, and without noise it also writes the replies `score` asks for.

One `Line` is one text being written. It owns a stream (its instruction, l) and one for each of its noises (l_j, of weight
w_j); all are fed the same token, so all always see the same prefix y_<t. In the paper there is one, the opposite
instruction, with weight omega. The entailment and the contradiction of a premise are each other's noise: their two
prompts are read once and serve all four streams.

    prompts      0 = "write an entailment of x"      1 = "write a contradiction of x"
    lines        y+ : own 0, noises (1, omega)       y- : own 1, noises (0, omega)
    streams      own(y+)  own(y-)  noise(y+)  noise(y-)          one row each, one forward pass a step

A number of lines is written side by side, each in a slot; when some are done, the next ones take their slots while the
others go on, so no line waits for the slowest (continuous batching; Orca, Yu et al., 2022):

    choose a token for every line  ->  lines that are done leave  ->  feed the tokens  ->  the next lines begin

What a line writes depends only on its own prompts and key. Batches change sums in their last bits; in float32, where
such a change could tip the choice, the step is computed again alone (`Backend.alone`) and that decides.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from stages.models.llm.backend import Backend
from stages.models.llm.request import Draft, Line, Prompt, Sampling
from stages.models.llm.sampling import choose
from stages.models.llm.streams import open_streams

# Slots are filled again, or given up, once this share of them is empty: either costs a pass or a copy, idling wastes rows.
IDLE_SHARE = 0.125

# Lines whose scores over the vocabulary are looked at together: what stays in a processor's cache, and on a GPU in memory.
SCORED_AT_ONCE = {"cpu": 8, "cuda": 256}


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
    slots = _Slots(llm, prompts, lines, sampling, size)
    slots.fill([waiting.popleft() for _ in range(size)])
    done: list[tuple[int, Draft]] = []
    while slots.taken:
        for slot, token in zip(slots.taken, slots.choose(), strict=True):
            place, tokens = slots.line[slot], slots.written[slot]
            if token not in llm.eos:
                tokens.append(token)
            text = llm.text(tokens)
            ended = token in llm.eos or ends(text)
            if ended or len(tokens) == max_tokens:
                done.append((place, Draft(text, len(tokens), ended)))
                slots.release(slot)
        if slots.idle_share < IDLE_SHARE:
            slots.step()
            continue
        if done:
            yield done
            done = []
        if not waiting:
            slots.shrink()
        if slots.taken:
            slots.step()
        if waiting and (llm.joins or not slots.taken):
            slots.fill([waiting.popleft() for _ in range(min(len(slots.free), len(waiting)))])


class _Slots:
    """The lines being written side by side: which line is in which slot, what it wrote, and the rows of its streams.

    Slot i of n has row i of the streams, and row j * n + i for its j-th noise. A line with fewer noises than another has rows
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
        self.line: dict[int, int] = {}  # slot -> place in `lines`
        self.written: dict[int, list[int]] = {}  # slot -> tokens
        self.chosen = torch.zeros(size, dtype=torch.long)  # the newest token of each slot
        self.weights = torch.zeros((self.layers - 1, size))
        self.streams = open_streams(llm, self.layers * size)

    @property
    def taken(self) -> list[int]:
        return list(self.line)

    @property
    def free(self) -> list[int]:
        return [slot for slot in range(self.size) if slot not in self.line]

    @property
    def idle_share(self) -> float:
        return 1 - len(self.line) / self.size

    def fill(self, places: Sequence[int]) -> None:
        """Let lines begin in free slots: their prompts are read, each once."""
        if not self.line:
            self.streams = open_streams(self.llm, self.layers * self.size)
        rows, wanted = list[int](), list[int]()
        for slot, place in zip(self.free, places, strict=False):
            line = self.lines[place]
            self.line[slot], self.written[slot] = place, []
            prompts = [line.own, *(noise.prompt for noise in line.noises)]
            rows += range(slot, self.layers * self.size, self.size)
            wanted += prompts + [line.own] * (self.layers - len(prompts))
        read = {prompt: order for order, prompt in enumerate(dict.fromkeys(wanted))}
        self.streams.start(rows, [self.prompts[prompt] for prompt in read], [read[prompt] for prompt in wanted])
        self._weigh()

    def release(self, slot: int) -> None:
        """The line in this slot is done."""
        del self.line[slot], self.written[slot]

    def shrink(self) -> None:
        """Give up the free slots; the others move up."""
        kept = sorted(self.line)
        if not kept:
            return
        self.streams.select([layer * self.size + slot for layer in range(self.layers) for slot in kept])
        self.line = {new: self.line[slot] for new, slot in enumerate(kept)}
        self.written = {new: self.written[slot] for new, slot in enumerate(kept)}
        self.chosen, self.size = self.chosen[kept], len(kept)
        self._weigh()

    def step(self) -> None:
        """Feed each line's newest token to its streams."""
        self.streams.step(self.chosen.repeat(self.layers))

    def choose(self) -> list[int]:
        """The next token of each taken slot, in the order of `taken`."""
        some = SCORED_AT_ONCE[self.llm.device.type]
        own, *noises = self.streams.logits.unflatten(0, (self.layers, self.size))  # (n, V) each
        keys, settle = [""] * self.size, self._alone if self.llm.exact else None
        for slot, place in self.line.items():
            keys[slot] = f"{self.lines[place].key}/{len(self.written[slot])}"
        parts = []
        for start in range(0, self.size, some):
            part = slice(start, min(start + some, self.size))
            scores = own[part].float()
            for noise, weights in zip(noises, self.weights, strict=True):  # l - w_j * l_j in float32 (eq. 2)
                scores = scores - weights[part, None] * noise[part].float()
            parts.append(choose(scores, self.sampling, keys[part], settle and _shifted(settle, start)))
        self.chosen = torch.cat(parts).cpu()
        tokens = self.chosen.tolist()
        return [tokens[slot] for slot in self.line]

    def _weigh(self) -> None:
        """The weight of each noise of each slot, where the scores are: (noises, n)."""
        weights = torch.zeros((self.layers - 1, self.size))
        for slot, place in self.line.items():
            for layer, noise in enumerate(self.lines[place].noises):
                weights[layer, slot] = noise.weight
        self.weights = weights.to(self.llm.device)

    def _alone(self, slot: int) -> Tensor | None:
        """The scores (V,) of a slot computed again, alone; None for a free slot."""
        if slot not in self.line:
            return None
        line, tokens = self.lines[self.line[slot]], self.written[slot]
        scores = self.llm.alone(self.prompts[line.own], tokens)
        for noise in line.noises:
            scores = scores - noise.weight * self.llm.alone(self.prompts[noise.prompt], tokens)
        return scores


def _shifted(settle: Callable[[int], Tensor | None], start: int) -> Callable[[int], Tensor | None]:
    return lambda row: settle(start + row)
