"""A batch that is encoded in parts, and its gradient nevertheless: gradient caching (GradCache, Gao et al., 2021).

A contrastive loss reads all vectors of a batch, but the memory of a step is that of its graph. So the vectors are computed
without one, part by part; the loss gives its gradient with respect to them; and each part is encoded again, from the same
draws of dropout, and sent its share of that gradient:

    dL/dw = sum over parts P of sum_{i in P} dL/dh_i dh_i/dw

This is the gradient of the batch encoded at once, up to rounding, for twice the forward passes. A batch of one part keeps
its graph, and is encoded once.

Parts may be encoded by several processes (`stages/models/training/ranks.py`), each taking a share of a batch's texts. The
leader alone has examples, loss and optimiser: whatever a loss compares stands side by side there, so masks and positives know
nothing of ranks. The others get rows of token ids and the weights, give vectors, get their gradient, and give that of the
weights. The sum over ranks is the sum over parts above. DistributedDataParallel would not do: it averages the gradients
of losses that each rank takes of its own vectors, in one backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stages.models import loading
from stages.models.catalog import Located
from stages.models.encoder.model import Encoder, autocast
from stages.models.encoder.packed import in_order
from stages.models.training.ranks import Ranks, SingleProcess
from store.problem import Problem


@dataclass(frozen=True)
class Load:
    """The order to load a base, with what `loading.trainable` is given."""

    base: Located
    pooler: str
    seed: int
    mlp_in_training: bool


@dataclass(frozen=True)
class Start:
    """The order to make ready for batches: the number of words that occur in them, and how `Parts` is to encode."""

    words: int
    dtype: str
    chunk: int | None


@dataclass(frozen=True)
class Batch:
    """The order to encode a batch, and to send its gradient back."""

    rows: list[list[int]]
    starts: list[int] | None
    seed: int


class Parts:
    """Encodes batches `chunk` texts at a time, or the rank's share at once where it is None.

    `words`: the word vectors that rows of ids are looked up in; with the encoder's other weights they are `trained`.
    `forward`, a loss of its vectors, its backward, then `backward`: gradients are added to what the weights have.
    """

    def __init__(
        self,
        encoder: Encoder,
        words: Tensor | None,
        dtype: str,
        chunk: int | None,
        ranks: SingleProcess | None = None,
    ) -> None:
        if words is None:
            raise Problem(
                "chunk and torchrun encode a batch in parts, and the texts of this base are padded to the longest of all",
                "train without them, or a base of the kind of BERT or RoBERTa",
                "chunk",
            )
        self.encoder = encoder
        self.words = words
        self.trained = trained(encoder, words)
        self.dtype = dtype
        self.chunk = chunk
        self.ranks = ranks or SingleProcess()
        if self.ranks.rank == 0:
            self.ranks.say(Start(len(words), dtype, chunk))
        self.parts: list[list[int]] = []  # of the batch under way: the rows of each part
        self.encode: list[Callable[[], Tensor]] = []
        self.graph: Tensor | None = None

    def forward(self, rows: list[list[int]], starts: list[int] | None, seed: int) -> Tensor:
        """The vectors (len(rows), d) under the dropout of `seed`: a leaf, for a loss to leave its gradient at."""
        self.ranks.say(Batch(rows, starts, seed))
        return self._forward(rows, starts, seed)

    def follow(self, batch: Batch) -> None:
        """A follower's half of `forward` and `backward`."""
        self.encoder.train()
        for weight in self.trained:
            weight.grad = None
        vectors = self._forward(batch.rows, batch.starts, batch.seed)
        vectors.grad = torch.empty_like(vectors)
        self.backward(vectors)

    def _forward(self, rows: Sequence[Sequence[int]], starts: Sequence[int] | None, seed: int) -> Tensor:
        self.ranks.broadcast(self.trained)
        torch.manual_seed(seed)
        share = shares([len(row) for row in rows], self.ranks.count)[self.ranks.rank]
        chunk = self.chunk or max(len(share), 1)
        self.parts = [share[start : start + chunk] for start in range(0, len(share), chunk)]
        self.encode = self.encoder.in_parts(rows, self.words, starts, self.parts)
        vectors = torch.zeros(len(rows), self.encoder.width, device=self.encoder.device)
        for part, encode in zip(self.parts, self.encode, strict=True):
            with torch.set_grad_enabled(len(self.parts) == 1), autocast(self.dtype, self.encoder.device):
                encoded = encode()
            vectors[part] = encoded.detach().float()
        self.graph = encoded if len(self.parts) == 1 else None
        self.ranks.all_reduce(vectors)
        return vectors.requires_grad_()

    def backward(self, vectors: Tensor) -> None:
        """Send the gradient that a loss left at `vectors` back through the encoder."""
        assert vectors.grad is not None
        self.ranks.broadcast([vectors.grad])
        for part, encode in zip(self.parts, self.encode, strict=True):
            encoded = self.graph
            if encoded is None:
                with autocast(self.dtype, self.encoder.device):
                    encoded = encode()
            encoded.backward(vectors.grad[part].to(encoded.dtype))
        self.encode, self.graph = [], None
        # A weight that no text reaches has no gradient with the leader, who always has a text, and keeps none.
        self.ranks.reduce([torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in self.trained])


def trained(encoder: Encoder, words: Tensor) -> list[Tensor]:
    """The weights of a training: its `words` in the place of the encoder's whole table of them, and all others."""
    return [words, *(weight for weight in encoder.parameters() if weight is not encoder.words.weight)]


def shares(lengths: Sequence[int], count: int) -> list[list[int]]:
    """The texts of each of `count` ranks: about the same number of tokens for each, and of about one length within it.

    The first rank always has a text; the others may have none, where there are fewer texts than ranks.
    """
    order, _ = in_order(lengths)
    ranks: list[list[int]] = [[] for _ in range(count)]
    before, total = 0, sum(lengths)
    for text in order:
        ranks[before * count // total].append(text)
        before += lengths[text]
    return ranks


def follow(ranks: Ranks, where: str) -> None:
    """Do what the leader says on the device `where`, until it says no more."""
    encoder, parts = None, None
    while (order := ranks.hear()) is not None:
        if isinstance(order, Load):
            encoder = loading.trainable(order.base, where, order.pooler, order.seed, order.mlp_in_training)
        elif isinstance(order, Start):
            assert encoder is not None
            words = torch.zeros(order.words, encoder.words.embedding_dim, device=encoder.device, requires_grad=True)
            parts = Parts(encoder, words, order.dtype, order.chunk, ranks)
        else:
            assert parts is not None
            parts.follow(order)
