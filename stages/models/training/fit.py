"""Training, without store or clock: triplets in, steps out. Arrow: triplet -> checkpoint; this is the inside of `train`.

The objectives differ in their loss (`stages/models/training/loss.py`) and in what a loss reads beside the vectors: a mask,
labels, or nothing. Unsupervised SimCSE reads sentences instead of triplets, and each twice; in a template, in two of them.

Nothing depends on when it happens: the order of triplets comes from (seed, epoch), dropout from (seed, step), the
learning rate from the step. So weights, optimiser and step number are all there is to save, and a training that was
killed and restored walks the same road to the last bit (on one CPU thread).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.models.encoder.model import Encoder, autocast
from stages.models.training.mask import MaskVectors as MaskVectors
from stages.models.training.mask import text_digests
from stages.models.training.objective import Objective
from stages.models.training.parts import Parts, trained
from stages.models.training.ranks import Ranks
from stages.models.training.recipe import Recipe as Recipe
from stages.models.training.recipe import Step, batches, lr_share, seed_for
from stages.models.training.token_rows import TokenRows

# Gradients longer than this are scaled down; the value of the field's trainers.
GRADIENT_NORM = 1.0

# Triplets tokenised at once: enough to keep the tokenizer's threads busy, few enough not to matter beside a batch.
TOKENISED_AT_ONCE = 1024


class Training:
    """An encoder on its way: `steps()` goes on from `step`; `state()` and `restore()` are all it takes to resume.

    `examples` are read once: triplets (x, x+, x-), pairs for `claif`, or sentences (x,) for `simcse-unsup`. Kept are their
    token ids and a digest of each text, not the texts. `mask`: the mask model's vectors of them. `labels` (n,
    2): the AI's similarities of (x, x+) and (x, x-), in [0, 1]; of pairs (n, 1). `teacher`: the vectors that `rank`
    learns from, one (n, w) for each text of an example, scaled to length 1. `chunk`: the texts that a step encodes at a
    time, None for all of its batch; `ranks`: the processes that share them. The gradient is the same. Raises Problem
    where the encoder is of a family that cannot be encoded in parts.
    """

    def __init__(
        self,
        encoder: Encoder,
        examples: Iterable[Sequence[str]],
        mask: MaskVectors | None,
        recipe: Recipe,
        labels: np.ndarray | None = None,
        teacher: Sequence[np.ndarray] | None = None,
        chunk: int | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        self.encoder = encoder
        self.recipe = recipe
        self.pairs = labels is not None and labels.shape[1] == 1
        self.step = 0
        width = 1 if recipe.objective == "simcse-unsup" else 3 if labels is None else 1 + labels.shape[1]
        self.rows = [TokenRows() for _ in range(width)]  # a column each of x, x+, x-, all of n rows
        texts = self._read(examples)
        self.count = len(texts)
        self.objective = Objective(recipe, texts, mask, labels, teacher)
        self.total = recipe.total(self.count)
        self.used = self._used_words()
        table = encoder.words.weight
        self.words = table if self.used is None else table.detach()[self.used].requires_grad_()
        self.trained = trained(encoder, self.words)
        self.parts = None
        if chunk is not None or ranks is not None:
            self.parts = Parts(encoder, None if self.used is None else self.words, recipe.dtype, chunk, ranks)
        # Biases and the weights of norms, which alone have one dimension, never decay.
        groups = [
            {"params": [weight for weight in self.trained if weight.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [weight for weight in self.trained if weight.ndim == 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=recipe.lr, fused=True)  # fused: one pass over the weights

    def _read(self, examples: Iterable[Sequence[str]]) -> Tensor:
        """Fill `rows`, and return the digest of each text, (n, texts of an example)."""
        digests, pending, width = list[Tensor](), iter(examples), len(self.rows)
        while window := list(islice(pending, TOKENISED_AT_ONCE)):
            for column, texts in zip(self.rows, zip(*window, strict=True), strict=True):
                column.extend(self.encoder.ids(texts, self.recipe.max_length))
            digests.append(text_digests(window, width))
        template = self.encoder.template
        if template is not None and len(self.rows) == 1:
            first, second = self.rows[0], TokenRows()
            second.extend(template.second(first[place]) for place in range(len(first)))
            self.rows.append(second)
        return torch.cat(digests)

    def _used_words(self) -> Tensor | None:
        """The token ids that occur, (V,), and from here on each row's ids count from 0 within them.

        A word that occurs nowhere has gradient 0 at every step, hence moments 0, and all that AdamW does to it is to let
        it decay, which `_put_back` does instead. Most weights of a small encoder are such words' vectors; to clear,
        measure and step over them took a tenth of a step. None for a backbone that does not pack: its padding would have
        to be among them.
        """
        if self.encoder.first_position is None:
            return None
        seen = np.zeros(self.encoder.words.num_embeddings, dtype=bool)
        for column in self.rows:
            column.mark(seen)
        number = np.cumsum(seen, dtype=np.intc) - 1
        for column in self.rows:
            column.renumber(number)
        return torch.from_numpy(np.flatnonzero(seen)).to(self.encoder.device)

    def state(self) -> dict[str, Any]:
        """Weights, optimiser and step number."""
        return {"step": self.step, "model": self.encoder.state_dict(), "optimiser": self.optimiser.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state()`."""
        self.step = state["step"]
        self.encoder.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.used is not None:
            self.words.data.copy_(self.encoder.words.weight[self.used])

    def steps(self) -> Iterator[Step]:
        """Take the remaining steps, yielding after each; the encoder may be used (not changed) in between."""
        for epoch, chosen in batches(self.recipe, self.count, self.step):
            yield self._step(chosen, epoch)

    def _step(self, chosen: Tensor, epoch: int) -> Step:
        """One optimiser step over the examples `chosen` (N,)."""
        recipe = self.recipe
        lr = recipe.lr * lr_share(self.step, self.total, warm_up=recipe.objective == "claif")
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        self.encoder.train()
        seed = seed_for(recipe.seed, "dropout", self.step)
        # All x, all x+, all x-; or all x twice: a row that stands in a batch twice has two draws of dropout.
        columns = self.rows * 2 if len(self.rows) == 1 else self.rows
        rows = [column[place] for column in columns for place in chosen.tolist()]
        vectors = self._encoded(rows, self._starts(len(chosen)), seed)  # (3N, d) or (2N, d)
        loss, share = self.objective(vectors[: len(chosen)], vectors[len(chosen) :], chosen)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.parts is not None:
            self.parts.backward(vectors)
        torch.nn.utils.clip_grad_norm_(self.trained, GRADIENT_NORM)
        self.optimiser.step()
        if self.used is not None:
            self._put_back(self.used, lr)
        self.step += 1
        return Step(self.step, epoch, float(loss.detach()), share, lr)

    def _put_back(self, used: Tensor, lr: float) -> None:
        """Bring the encoder's table of words to where a step at `lr` over all of it would have."""
        table = self.encoder.words.weight.data
        if self.recipe.weight_decay:
            table.mul_(1 - lr * self.recipe.weight_decay)
        table[used] = self.words.detach()

    def _encoded(self, rows: list[list[int]], starts: list[int] | None, seed: int) -> Tensor:
        """The vectors of a batch under the dropout of `seed`, (len(rows), d)."""
        if self.parts is not None:
            return self.parts.forward(rows, starts, seed)
        torch.manual_seed(seed)
        with autocast(self.recipe.dtype, self.encoder.device):
            vectors: Tensor = self.encoder(rows, None if self.used is None else self.words, starts)
        return vectors

    def _starts(self, n: int) -> list[int] | None:
        """The tokens before the sentence in each row of a batch of `n` examples, where it stands in a template."""
        template = self.encoder.template
        if template is None:
            return None
        if len(self.rows) == 2 and not self.pairs:
            return [len(template.before)] * n + [len(template.second_before)] * n
        return [len(template.before)] * len(self.rows) * n
