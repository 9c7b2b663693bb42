"""SentEval's probe (Conneau and Kiela, 2018, its PyTorch classifier), for all folds and all decays at once. Arrow: vectors ->
weights.

It takes a few hundred steps and keeps the epoch that was best on held-out rows. What is drawn at random comes from the
streams that SentEval's own calls read (`numpy.random.seed(1111)` for the order of batches, `torch.manual_seed(1111)` for the
first weights), so that it ends where SentEval ends, up to rounding. Known differences: at most 200 epochs, where SentEval's
loop may run 204; and the loss is a mean over a batch, as it has been in SentEval since PyTorch 0.4.1 (before, the attribute
it sets made it a sum).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stages.tasks.linear import SEED, Fitted, Split, accuracies

BATCH = 64
RATE = 1e-3
MEMORY, SQUARES = 0.9, 0.999  # Adam's β1 and β2
EPSILON = 1e-8
CHECK_EVERY = 4  # epochs
MOST_CHECKS = 50  # 200 epochs
PATIENCE = 5  # checks without a better accuracy that a fit survives in its whole life

# Splits trained side by side. Their batches, weights and moments lie in a core's cache, and numpy's own time a call is
# shared by all of them. Part of the arithmetic, not a setting: a product may round otherwise in another company.
SIDE_BY_SIDE = 8


def fit(table: np.ndarray, truth: np.ndarray, splits: Sequence[Split], decays: np.ndarray) -> Fitted:
    """SentEval's probe. A fit ends at the check after the fifth that found no better accuracy; its best weights count.

    The decays of a split see the same batches: one gather and one product serve them all. Splits of equal size with
    equally many fits under way are trained side by side, and a fit that has ended costs nothing.
    """
    classes, width = truth.shape[1], table.shape[1]
    shape = (*decays.shape, classes, width)
    state = _State(np.empty(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    state.weights[:] = first_weights(classes, width - 1)
    best, accuracy = state.weights.copy(), np.full(decays.shape, -1.0)
    failures, live = np.zeros(decays.shape, int), np.ones(decays.shape, bool)
    shuffles = {key: _shuffles(*key) for key in {(len(split.train), split.drawn) for split in splits}}
    for check in range(MOST_CHECKS):
        parts: dict[tuple[int, int, int], list[int]] = defaultdict(list)
        for place, split in enumerate(splits):
            if live[place].any():
                parts[len(split.train), split.drawn, int(live[place].sum())].append(place)
        if not parts:
            break
        orders = {key: [stream.permutation(key[0]) for _ in range(CHECK_EVERY)] for key, stream in shuffles.items()}
        for (size, drawn, _), places in parts.items():
            for start in range(0, len(places), SIDE_BY_SIDE):
                some = places[start : start + SIDE_BY_SIDE]
                rows = np.stack([splits[place].train for place in some])
                which = np.array(some)[:, None], np.stack([np.flatnonzero(live[place]) for place in some])
                _train(table, truth, rows, orders[size, drawn], state, which, decays[which], check)
        for place in {place for places in parts.values() for place in places}:
            now = accuracies(table, truth, splits[place].dev, state.weights[place])
            better = live[place] & (now > accuracy[place])
            best[place, better] = state.weights[place, better]
            accuracy[place, better] = now[better]
            worse = live[place] & ~better
            live[place, worse & (failures[place] >= PATIENCE)] = False
            failures[place, worse] += 1
    return Fitted(best, accuracy)


def first_weights(classes: int, width: int) -> np.ndarray:
    """(classes, width + 1), uniform in ±1/sqrt(width): what torch.nn.Linear(width, classes) has after manual_seed(1111).

    Both libraries seed the same Mersenne twister; torch takes 24 bits of a draw, the weights before the biases.
    """
    draws = np.random.RandomState(SEED).randint(0, 2**32, classes * (width + 1), np.uint32)
    bound = 1 / np.sqrt(width)
    values = ((draws & (2**24 - 1)) * (2 * bound / 2**24) - bound).astype(np.float32)
    return np.hstack([values[: classes * width].reshape(classes, width), values[classes * width :, None]])


def _shuffles(size: int, drawn: int) -> np.random.RandomState:
    """The stream of the batches' orders, after what held_out drew from it."""
    stream = np.random.RandomState(SEED)
    if drawn:
        stream.permutation(drawn)
    return stream


class _State(NamedTuple):
    """Weights and Adam's two moments, (splits, decays, classes, d + 1) each. The moments are kept without their factors
    1 - β1 and 1 - β2, which go into the step's size."""

    weights: np.ndarray
    mean: np.ndarray
    square: np.ndarray


def _train(
    table: np.ndarray,
    truth: np.ndarray,
    rows: np.ndarray,
    orders: Sequence[np.ndarray],
    state: _State,
    which: tuple[np.ndarray, np.ndarray],
    decays: np.ndarray,
    check: int,
) -> None:
    """One epoch for each of `orders`, of the fits `which` (splits, decays), on rows (splits, n); changes `state`.

    g = splits, c = classes, k = decays, b = batch, d includes the bias.
    """
    # Classes stand before decays, so that a softmax runs over the outer of two axes.
    weights, mean, square = (part[which].swapaxes(1, 2).copy() for part in state)  # (g, c, k, d)
    count, classes, kept, width = weights.shape
    flat = weights.reshape(count, classes * kept, width)
    gradient, room = np.empty_like(weights), np.empty_like(weights)
    batch = np.empty((count, BATCH, width), np.float32)
    pull = np.broadcast_to(decays[:, None, :, None], (count, 1, kept, 1)).astype(np.float32)
    step = check * CHECK_EVERY * -(-rows.shape[1] // BATCH)
    for order in orders:
        shuffled = rows[:, order]
        answers = truth[shuffled].transpose(0, 2, 1)[:, :, None]  # (g, c, 1, n)
        for start in range(0, rows.shape[1], BATCH):
            chosen = shuffled[:, start : start + BATCH]
            size = chosen.shape[1]
            part = batch if size == BATCH else np.empty((count, size, width), np.float32)
            np.take(table, chosen, axis=0, out=part, mode="clip")  # "raise" would copy through a buffer
            scores = (flat @ part.swapaxes(1, 2)).reshape(count, classes, kept, size)
            scores -= scores.max(1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(1, keepdims=True)
            scores -= answers[..., start : start + size]
            scores /= size
            np.matmul(scores.reshape(count, -1, size), part, out=gradient.reshape(flat.shape))
            step += 1
            _step(weights, mean, square, gradient, room, pull, step)
    for whole, changed in zip(state, (weights, mean, square), strict=True):
        whole[which] = changed.swapaxes(1, 2)


def _step(
    weights: np.ndarray,
    mean: np.ndarray,
    square: np.ndarray,
    gradient: np.ndarray,
    room: np.ndarray,
    decays: np.ndarray,
    step: int,
) -> None:
    """Adam's `step`-th step, in place (Kingma and Ba, 2015, algorithm 1), the decay added to the gradient as an L2 penalty.

    With m = (1 - β1) · mean and v = (1 - β2) · square, m̂ / (√v̂ + ε) = r · (1 - β1) / (1 - β1^t) · mean / (√square + ε r),
    where r = √((1 - β2^t) / (1 - β2)).
    """
    root = np.sqrt((1 - SQUARES**step) / (1 - SQUARES))
    np.multiply(weights, decays, out=room)
    gradient += room
    mean *= np.float32(MEMORY)
    mean += gradient
    square *= np.float32(SQUARES)
    np.square(gradient, out=gradient)
    square += gradient
    np.sqrt(square, out=room)
    room += np.float32(EPSILON * root)
    np.divide(mean, room, out=room)
    room *= np.float32(RATE * root * (1 - MEMORY) / (1 - MEMORY**step))
    weights -= room
