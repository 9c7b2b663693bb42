"""A batch that is encoded in parts, and its gradient nevertheless: gradient caching (GradCache, Gao et al., 2021).

A contrastive loss reads all vectors of a batch, but the memory of a step is that of its graph. So the vectors are computed
without one, part by part; the loss gives its gradient with respect to them; and each part is encoded again, from the same
draws of dropout, and sent its share of that gradient:

    dL/dw = sum over parts P of sum_{i in P} dL/dh_i dh_i/dw

This is the gradient of the batch encoded at once, up to rounding, for twice the forward passes. A batch of one part keeps
its graph, and is encoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from stages.models.encoder import Encoder, autocast
from stages.models.packed import in_order
from stages.models.problem import Unusable


class Parts:
    """Encodes batches `chunk` texts at a time. `words`: the word vectors that rows of ids are looked up in.

    `forward`, a loss of its vectors, its backward, then `backward`: gradients of the weights are added to what is there.
    """

    def __init__(self, encoder: Encoder, words: Tensor | None, dtype: str, chunk: int) -> None:
        if words is None:
            raise Unusable(
                "--chunk encodes a batch in parts, and the texts of this encoder are padded to the longest of all",
                "train without it, or a base of the kind of BERT or RoBERTa",
            )
        self.encoder = encoder
        self.words = words
        self.dtype = dtype
        self.chunk = chunk
        self.parts: list[list[int]] = []  # of the batch under way: the rows of each part
        self.encode: list[Callable[[], Tensor]] = []
        self.graph: Tensor | None = None

    def forward(self, rows: Sequence[Sequence[int]], starts: Sequence[int] | None, seed: int) -> Tensor:
        """The vectors (len(rows), d) under the dropout of `seed`: a leaf, for a loss to leave its gradient at."""
        torch.manual_seed(seed)
        order, _ = in_order([len(row) for row in rows])  # texts of a part are about as long as one another
        self.parts = [order[start : start + self.chunk] for start in range(0, len(order), self.chunk)]
        self.encode = self.encoder.in_parts(rows, self.words, starts, self.parts)
        vectors = torch.empty(len(rows), self.encoder.width, device=self.encoder.device)
        for part, encode in zip(self.parts, self.encode, strict=True):
            with torch.set_grad_enabled(len(self.parts) == 1), autocast(self.dtype, self.encoder.device):
                encoded = encode()
            vectors[part] = encoded.detach().float()
        self.graph = encoded if len(self.parts) == 1 else None
        return vectors.requires_grad_()

    def backward(self, vectors: Tensor) -> None:
        """Send the gradient that a loss left at `vectors` back through the encoder."""
        assert vectors.grad is not None
        for part, encode in zip(self.parts, self.encode, strict=True):
            encoded = self.graph
            if encoded is None:
                with autocast(self.dtype, self.encoder.device):
                    encoded = encode()
            encoded.backward(vectors.grad[part].to(encoded.dtype))
        self.encode, self.graph = [], None
