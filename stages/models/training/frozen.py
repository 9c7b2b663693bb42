"""The vectors of a model that is not trained, for the token ids of one that is. Arrow: none of its own; see `modules.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from store.problem import Problem

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# The token ids of one column of a batch with their mask, and whatever else the model reads.
Features: TypeAlias = Mapping[str, Any]

# A model that is not trained, or its vectors of all texts that occur.
Frozen: TypeAlias = "SentenceTransformer | Mapping[str, Sequence[float] | np.ndarray]"


class FrozenVectors:
    """The vectors of `source` for texts that come as token ids of `model`.

    A source of the same vocabulary reads the ids as they are; another one reads the text that they spell. Vectors that are
    given by text are kept by the ids of that text. Raises Problem where source and model are one.
    """

    def __init__(self, model: SentenceTransformer, source: Frozen) -> None:
        if source is model:
            raise Problem("a model that is trained cannot be the frozen one beside it too", "load it a second time")
        self.tokenizer: Any = model.tokenizer
        self.source: Any = source if isinstance(source, nn.Module) else None
        self.vectors: dict[tuple[int, ...], np.ndarray] = {}
        if isinstance(source, Mapping):
            tokenize: Any = getattr(model, "preprocess", None) or model.tokenize  # sentence-transformers 6 and 5
            self.vectors = {
                token_ids(tokenize([text]))[0]: np.asarray(vector, dtype=np.float32) for text, vector in source.items()
            }
        else:
            self.same_ids = source.tokenizer.get_vocab() == self.tokenizer.get_vocab()

    def __call__(self, rows: Sequence[tuple[int, ...]]) -> Tensor:
        """The vectors (len(rows), w) in float32 on the processor, scaled to length 1.

        Raises Problem for a text whose vector was not given.
        """
        vectors = self._given(rows) if self.source is None else self._computed(rows)
        return functional.normalize(vectors.float(), dim=-1)

    def _given(self, rows: Sequence[tuple[int, ...]]) -> Tensor:
        for row in rows:
            if row not in self.vectors:
                text = self.tokenizer.decode(row, skip_special_tokens=True)
                raise Problem(
                    f"a text of the batch has no vector: {text!r}", "give the vectors of all texts that occur"
                )
        return torch.from_numpy(np.stack([self.vectors[row] for row in rows]))

    @torch.no_grad()
    def _computed(self, rows: Sequence[tuple[int, ...]]) -> Tensor:
        """Without dropout, and in float32 also where a trainer computes in bfloat16."""
        self.source.eval()
        with torch.autocast(self.source.device.type, enabled=False):
            return self._read(rows)

    def _read(self, rows: Sequence[tuple[int, ...]]) -> Tensor:
        if not self.same_ids:
            texts = self.tokenizer.batch_decode([list(row) for row in rows], skip_special_tokens=True)
            return torch.from_numpy(self.source.encode(texts, show_progress_bar=False))
        longest = self.source.max_seq_length or max(map(len, rows))
        cut = [list(row) if len(row) <= longest else [*row[: longest - 1], row[-1]] for row in rows]
        batch = self.source.tokenizer.pad({"input_ids": cut}, return_tensors="pt")
        features = {name: value.to(self.source.device) for name, value in batch.items()}
        vectors: Tensor = self.source(features)["sentence_embedding"]
        return vectors.cpu()


def token_ids(column: Features) -> list[tuple[int, ...]]:
    """The token ids of each text of a column, without padding; also of texts that are laid end to end (FlashAttention)."""
    ids = column["input_ids"].tolist()
    if "cu_seq_lens_q" in column:
        return [tuple(ids[0][start:end]) for start, end in pairwise(column["cu_seq_lens_q"].tolist())]
    return [
        tuple(token for token, counts in zip(row, mask, strict=True) if counts)
        for row, mask in zip(ids, column["attention_mask"].tolist(), strict=True)
    ]
