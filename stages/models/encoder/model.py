"""A sentence encoder: texts in, one vector a text out. The base that is trained, the frozen mask model, the one evaluated.

Arrow: none of its own. `fit.py` trains it, tasks know only its `encode`.

Poolers (h: hidden states of one text, T tokens):

    mean                 mean of h over the tokens of the last layer
    cls                  tanh(W h_[CLS] + b): the MLP is trained with the encoder and kept (SimCSE)
    cls_before_pooler    h_[CLS] of the last layer as it is
    first_last_mean      mean over tokens of (first block's output + last layer) / 2: `avg_first_last` of SimCSE's code today
    embeddings_last_mean the same of (static embeddings + last layer) / 2, as when BERT-base's 56.70 was published
    prompt               h_[MASK] of the last layer, in a template around the text (`stages/models/encoder/template.py`)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.models import memory
from stages.models.encoder import dropout
from stages.models.encoder.packed import Draws, Packed, PartDraws, first_position
from stages.models.encoder.pooling import WITH_LAST
from stages.models.encoder.template import ClozeTemplate


class Encoder(nn.Module):
    """A transformers encoder with its tokenizer and pooler.

    `max_length` is the number of tokens a text is cut to; `mlp` is the trained layer over the vector, else None. The `cls`
    pooler keeps it; with `cls_before_pooler` and `prompt` it is there in training mode only (unsupervised SimCSE).
    `template`: what the tokenizer puts around each text, for the `prompt` pooler only. `whitening`: a linear map of the
    finished vectors, at test only, that was not trained but solved for (`whiten`; Su et al., 2021).
    """

    def __init__(
        self,
        backbone: Any,
        tokenizer: Any,
        pooler: str,
        max_length: int,
        mlp: nn.Linear | None = None,
        template: ClozeTemplate | None = None,
        whitening: nn.Linear | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.pooler = pooler
        self.max_length = max_length
        self.mlp = mlp
        self.template = template
        self.whitening = whitening
        self.first_position = first_position(backbone)
        dropout.install(backbone)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.backbone.device
        return device

    @property
    def kept_mlp(self) -> nn.Linear | None:
        """The MLP that a vector goes through at test, and that is saved with the model."""
        return self.mlp if self.pooler == "cls" else None

    @property
    def width(self) -> int:
        """Length of a vector."""
        width: int = self.backbone.config.hidden_size
        return width if self.whitening is None else self.whitening.out_features

    @property
    def words(self) -> nn.Embedding:
        """The word vectors (vocabulary, width)."""
        table: nn.Embedding = self.backbone.get_input_embeddings()
        return table

    def whiten(self, mean: np.ndarray, matrix: np.ndarray) -> None:
        """Let vectors x leave as (x - mean) matrix; mean (width,), matrix (width, kept), as whitening is learned."""
        layer = nn.Linear(*matrix.shape)
        layer.weight.data = torch.from_numpy(matrix.T).float().contiguous()
        layer.bias.data = torch.from_numpy(-mean @ matrix).float()
        self.whitening = layer.to(self.device)

    def forward(
        self,
        rows: Sequence[Sequence[int]],
        words: Tensor | None = None,
        starts: Sequence[int] | None = None,
        draws: Sequence[Callable[[], PartDraws]] | None = None,
    ) -> Tensor:
        """Rows of token ids -> vectors (len(rows), width).

        `words` (V, width): word vectors to look the ids up in, instead of the backbone's own; only where it packs.
        `starts` (len(rows),): the tokens of the template before each sentence, whose vectors are to be denoised.
        `draws`: where the rows are a part of a batch, those of its texts, and of its templates.
        """
        if self.first_position is None:
            ids, mask = self._padded(rows)
            vectors = self._pooled(self._hidden(input_ids=ids, attention_mask=mask), mask)
        else:
            vectors = self._packed(Packed(rows, self.device, draws=draws[0]() if draws else None), words)
        if starts is not None:
            vectors = vectors - self._of_templates(rows, starts, words, draws[1]() if draws else None)
        if self.pooler == "prompt" and self.mlp is not None and self.training:
            vectors = torch.tanh(self.mlp(vectors))
        return vectors if self.whitening is None or self.training else self.whitening(vectors)

    def _packed(self, packed: Packed, words: Tensor | None) -> Tensor:
        """The vectors of packed texts, in the order of their rows."""
        assert self.first_position is not None
        with dropout.dropping(packed.draws.dropped if packed.draws else dropout.dropped):
            hidden = self._hidden(
                inputs_embeds=functional.embedding(packed.ids, self.words.weight if words is None else words)[None],
                position_ids=packed.positions[None] + self.first_position,
                packed=packed,
            )  # (1, T, width)
        return torch.cat([self._pooled(run) for run in packed.apart(hidden[0], 0)])[packed.place]

    def in_parts(
        self,
        rows: Sequence[Sequence[int]],
        words: Tensor | None,
        starts: Sequence[int] | None,
        parts: Sequence[Sequence[int]],
    ) -> list[Callable[[], Tensor]]:
        """What encodes each of `parts` (places in `rows`), as often as it is called: (len(part), width).

        The vectors are those of the rows encoded at once from the same state of the random numbers, dropout and all, if the
        first call is that of the first part.
        """
        draws = [Draws([len(row) for row in rows], parts, self.device)]
        if starts is not None:
            around = self._around(rows, starts)
            place = {template: number for number, template in enumerate(dict.fromkeys(around))}
            templates = [list(dict.fromkeys(place[around[text]] for text in part)) for part in parts]
            draws.append(Draws([len(ids) for _, _, ids in place], templates, self.device))
        return [
            partial(
                self,
                [rows[text] for text in part],
                words,
                starts and [starts[text] for text in part],
                [partial(PartDraws, batch, number) for batch in draws],
            )
            for number, part in enumerate(parts)
        ]

    def _around(self, rows: Sequence[Sequence[int]], starts: Sequence[int]) -> list[tuple[int, int, tuple[int, ...]]]:
        """The template around each row's sentence: (tokens before it, tokens with it, token ids without it)."""
        assert self.template is not None
        after = len(self.template.after)
        return [(start, len(row), (*row[:start], *row[-after:])) for row, start in zip(rows, starts, strict=True)]

    def _of_templates(
        self, rows: Sequence[Sequence[int]], starts: Sequence[int], words: Tensor | None, draws: PartDraws | None = None
    ) -> Tensor:
        """The vector (len(rows), width) of each row's template without its sentence, at the positions it has around it.

        Rows of the same template and length share one, as in the published code: one draw of dropout a step.
        """
        assert self.template is not None
        after, around = len(self.template.after), self._around(rows, starts)
        place = {template: number for number, template in enumerate(dict.fromkeys(around))}
        positions = [[*range(start), *range(length - after, length)] for start, length, _ in place]
        vectors = self._packed(Packed([ids for _, _, ids in place], self.device, positions, draws), words)
        return vectors[torch.tensor([place[template] for template in around], device=self.device)]

    def _hidden(self, **batch: Any) -> Tensor:
        """The hidden states (B, T, width) that are pooled."""
        other = WITH_LAST.get(self.pooler)
        out = self.backbone(**batch, output_hidden_states=other is not None)
        last: Tensor = out.last_hidden_state
        return last if other is None else (out.hidden_states[other] + last) / 2

    def _pooled(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, width) -> (B, width); `mask` (B, T) is 0 at padding, None where there is none."""
        if self.pooler.startswith("cls"):
            first = hidden[:, 0]
            mlp = self.mlp if self.training else self.kept_mlp
            return first if mlp is None else torch.tanh(mlp(first))
        if self.template is not None:
            return hidden[:, self.template.mask]
        if mask is None:
            return hidden.mean(1)
        weight = mask[:, :, None].to(hidden.dtype)
        pooled: Tensor = (hidden * weight).sum(1) / weight.sum(1)
        return pooled

    def ids(self, texts: Sequence[str], max_length: int | None = None) -> list[list[int]]:
        """Token ids of each text with special tokens, cut to `max_length`; words of a template come on top of these."""
        longest = max_length or self.max_length
        if max_length is not None and self.template is not None:
            longest = min(max_length + len(self.template.before) + len(self.template.after) - 2, self.max_length)
        ids: list[list[int]] = self.tokenizer(list(texts), truncation=True, max_length=longest).input_ids
        return ids

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Rows of token ids -> ids and mask (len(rows), longest), padded right, on the encoder's device."""
        longest = max(len(row) for row in rows)
        ids = torch.full((len(rows), longest), self.tokenizer.pad_token_id, dtype=torch.long)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        return ids.to(self.device), mask.to(self.device)

    def capacity(self, texts: Sequence[str]) -> int:
        """How many texts as long as the longest of `texts` could be encoded at once; see `stages/models/memory.py`."""
        tokens = len(self.ids([max(texts, key=len)])[0])
        return memory.count(self.device, self.text_bytes(tokens), memory.TEXTS[self.device.type])

    def text_bytes(self, tokens: int) -> int:
        """Bytes that encoding one text of `tokens` tokens takes, beside the weights."""
        return memory.activation_bytes(self.backbone.config, tokens, tokens, self.backbone.dtype.itemsize)

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
            vectors[places] = self([rows[place] for place in places]).float().cpu().numpy()
        self.train(was_training)
        return vectors


def autocast(dtype: str, device: torch.device) -> AbstractContextManager[Any]:
    """Matrix products in `dtype` (float32 or bfloat16) within the context."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if dtype == "bfloat16" else nullcontext()


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1, so that a dot product is a cosine; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: np.ndarray = vectors / np.where(lengths == 0, 1, lengths)
    return scaled
