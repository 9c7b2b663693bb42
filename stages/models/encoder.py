"""A sentence encoder: texts in, one vector a text out. The base that is trained, the frozen mask model, the one evaluated.

Arrow: none of its own. `fit.py` trains it, tasks know only its `encode`.

Poolers (h: hidden states of one text, T tokens):

    mean                 mean of h over the tokens of the last layer
    cls                  tanh(W h_[CLS] + b): the MLP is trained with the encoder and kept (SimCSE)
    cls_before_pooler    h_[CLS] of the last layer as it is
    first_last_mean      mean over tokens of (first layer + last layer) / 2; the first layer is the first transformer
                         block's output, not the embeddings (the reading that gives BERT-base its published 56.70)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stages.models import memory


class Encoder(nn.Module):
    """A transformers encoder with its tokenizer and pooler.

    `max_length` is the number of tokens a text is cut to; `mlp` is the trained layer of the `cls` pooler, else None.
    """

    def __init__(
        self, backbone: Any, tokenizer: Any, pooler: str, max_length: int, mlp: nn.Linear | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.pooler = pooler
        self.max_length = max_length
        self.mlp = mlp

    @property
    def device(self) -> torch.device:
        device: torch.device = self.backbone.device
        return device

    @property
    def width(self) -> int:
        """Length of a vector."""
        width: int = self.backbone.config.hidden_size
        return width

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids and their mask (B, T) -> vectors (B, width)."""
        two_layers = self.pooler == "first_last_mean"
        out = self.backbone(input_ids=ids, attention_mask=mask, output_hidden_states=two_layers)
        hidden: Tensor = out.last_hidden_state  # (B, T, width)
        if self.pooler.startswith("cls"):
            first = hidden[:, 0]
            return first if self.mlp is None else torch.tanh(self.mlp(first))
        if two_layers:
            hidden = (out.hidden_states[1] + hidden) / 2
        weight = mask[:, :, None].to(hidden.dtype)
        pooled: Tensor = (hidden * weight).sum(1) / weight.sum(1)
        return pooled

    def ids(self, texts: Sequence[str], max_length: int | None = None) -> list[list[int]]:
        """Token ids of each text with special tokens, cut to `max_length`."""
        found: list[list[int]] = self.tokenizer(
            list(texts), truncation=True, max_length=max_length or self.max_length
        ).input_ids
        return found

    def batch(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Rows of token ids -> ids and mask (len(rows), longest), padded right, on the encoder's device."""
        longest = max(len(row) for row in rows)
        ids = torch.full((len(rows), longest), self.tokenizer.pad_token_id, dtype=torch.long)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        return ids.to(self.device), mask.to(self.device)

    def fits(self, texts: Sequence[str]) -> int:
        """How many texts as long as the longest of `texts` could be encoded at once; see `stages/models/memory.py`."""
        tokens = len(self.ids([max(texts, key=len)])[0])
        return memory.count(self.device, memory.encoding(self, tokens), memory.TEXTS[self.device.type])

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], batch: int = 64) -> np.ndarray:
        """Vectors (len(texts), width) in float32, as the model gives them (not normalised), without dropout."""
        was_training = self.training
        self.eval()
        rows = self.ids(texts) if texts else []
        vectors = np.empty((len(rows), self.width), dtype=np.float32)
        order = sorted(range(len(rows)), key=lambda place: -len(rows[place]))
        for start in range(0, len(order), batch):
            places = order[start : start + batch]
            vectors[places] = self(*self.batch([rows[place] for place in places])).float().cpu().numpy()
        self.train(was_training)
        return vectors


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1, so that a dot product is a cosine; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: np.ndarray = vectors / np.where(lengths == 0, 1, lengths)
    return scaled
