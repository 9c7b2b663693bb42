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

from stages.models import 
from stages.models.packed import Packed, first_position
