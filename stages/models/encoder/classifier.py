"""An NLI classifier: pairs of texts in, the probabilities of entailment, neutral and contradiction out.

Arrow: hypotheses -> scores; this is the inside of `score --by nli:NAME`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stages.models import memory
from stages.models.encoder.labels import LABELS

# How near (in thousandths) a float32 probability must lie to a rounding border to be computed again alone. Batched and
# lone probabilities of a BERT-base with random weights were seen to differ by less than 7e-6; this is 4 times that.
CLOSE_ROUNDING = 0.03


class Classifier:
    """A transformers sequence classifier with its tokenizer. `columns` are the outputs that hold LABELS, `max_length` the
    number of tokens a pair is cut to, from the longer of its texts."""

    def __init__(self, model: Any, tokenizer: Any, columns: tuple[int, ...], max_length: int) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.columns = list(columns)
        self.max_length = max_length

    def capacity(self, pairs: Sequence[tuple[str, str]]) -> int:
        """How many times these (premise, hypothesis) pairs, or others as long, can be read at once, at least 1."""
        device = self.model.device
        longest = max(map(len, self._ids(pairs)["input_ids"]))
        each = memory.activation_bytes(self.model.config, longest, longest, self.model.dtype.itemsize)
        return memory.count(device, each * len(pairs), memory.TEXTS[device.type] // len(pairs))

    @torch.inference_mode()
    def probabilities(self, pairs: Sequence[tuple[str, str]]) -> list[dict[str, float]]:
        """P(entailment), P(neutral) and P(contradiction) of each (premise, hypothesis), read in one pass.

        Rounded to a thousandth. In float32 a pair with a figure whose rounding the batch could tip is computed again
        alone, so it does not depend on what else is in `pairs`.
        """
        shares = self._softmax(pairs)
        if self.model.dtype == torch.float32:
            close = (((shares * 1000) % 1 - 0.5).abs() < CLOSE_ROUNDING).any(1)
            for place in close.nonzero().flatten().tolist():
                shares[place] = self._softmax([pairs[place]])[0]
        return [dict(zip(LABELS, (round(share, 3) for share in row), strict=True)) for row in shares.tolist()]

    def _softmax(self, pairs: Sequence[tuple[str, str]]) -> Tensor:
        """The probabilities of LABELS in float64 # (len(pairs), 3)"""
        padded = self.tokenizer.pad(self._ids(pairs), return_tensors="pt").to(self.model.device)
        logits: Tensor = self.model(**padded).logits
        return logits[:, self.columns].double().softmax(-1).cpu()

    def _ids(self, pairs: Sequence[tuple[str, str]]) -> Any:
        premises, hypotheses = map(list, zip(*pairs, strict=True))
        return self.tokenizer(premises, hypotheses, truncation=True, max_length=self.max_length)
