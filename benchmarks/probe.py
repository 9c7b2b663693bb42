"""Claim: a transfer task is judged at least 10 times as fast as by SentEval's one fit after another, with the same figure."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch

from benchmarks import harness
from benchmarks.harness import Record, Settings
from stages.models import catalog, loading
from stages.tasks import adam, linear, transfer
from stages.tasks.adam import BATCH, CHECK_EVERY, MOST_CHECKS, PATIENCE
from stages.tasks.linear import SEED, Fitted, Split
from stages.tasks.probe import DECAYS

CLOSE = 0.3  # points of accuracy
LEAST = 10.0
ENCODED_AT_ONCE = 64
QUICK = 600  # items

Fit = Callable[[Sequence[Split], np.ndarray], Fitted]


def measure(settings: Settings) -> Record:
    """Fits per second on mr with the embedded encoder's vectors, which are not timed.

    One of mr's ten outer folds, whole: four decays in ten inner folds, and the probe that is judged; 41 of 410 fits, none
    of them scaled. Raises ValueError without `--data`.
    """
    if settings.data is None:
        raise ValueError("give --data: what is classified are the sentences of mr")
    items = transfer.load("mr", settings.data).train
    items = items[:: len(items) // QUICK] if settings.quick else items
    encoder = loading.encoder(catalog.locate("minilm", "encoder"), torch.device("cpu"))
    features = encoder.encode([item.texts[0] for item in items], ENCODED_AT_ONCE)
    labels = np.array([item.label for item in items])
    table, truth = linear.with_ones(features), np.eye(2, dtype=np.float32)[labels]
    rest, fold = next(linear.folds(labels, transfer.FOLDS))

    def judge(fit: Fit) -> np.ndarray:
        """The classes of the outer fold's items."""
        inner = [Split(rest[train], rest[dev]) for train, dev in linear.folds(labels[rest], transfer.FOLDS)]
        accuracy = fit(inner, np.tile(DECAYS, (len(inner), 1))).accuracy
        best = (100 * accuracy.mean(0)).round(2).argmax()
        return linear.predict(table[fold], fit([linear.held_out(rest)], np.array([[DECAYS[best]]])).weights[0, 0])

    race, ours, theirs = harness.race(
        lambda: judge(lambda splits, decays: adam.fit(table, truth, splits, decays)),
        lambda: judge(lambda splits, decays: in_turn(features, labels, splits, decays)),
        settings.rounds,
    )
    figures = [100 * float((found == labels[fold]).mean()) for found in (ours, theirs)]
    if abs(figures[0] - figures[1]) > CLOSE:
        raise ValueError(f"accuracies of {figures[0]} and {figures[1]} differ by more than {CLOSE} points")
    return Record(
        name="probe",
        claim="eval of a transfer task, from vectors on",
        reference="SentEval's loop in PyTorch",
        at_least=LEAST,
        unit="fits",
        count=len(DECAYS) * transfer.FOLDS + 1,
        race=race,
        same=f"accuracy {figures[0]:.2f} and {figures[1]:.2f}; {(ours == theirs).sum()} of {len(fold)} classes equal",
        sizes={"task": "mr", "items": len(labels), "judged": len(fold), "width": features.shape[1]},
    )


def in_turn(features: np.ndarray, labels: np.ndarray, splits: Sequence[Split], decays: np.ndarray) -> Fitted:
    """What `adam.fit` does, one fit after another by SentEval's loop."""
    classes = int(labels.max()) + 1
    rows = [
        [one_by_one(features, labels, split, decay, classes) for decay in own]
        for split, own in zip(splits, decays, strict=True)
    ]
    return Fitted(
        np.array([[fit[1] for fit in row] for row in rows]), np.array([[fit[0] for fit in row] for row in rows])
    )


def one_by_one(
    features: np.ndarray, labels: np.ndarray, split: Split, decay: float, classes: int
) -> tuple[float, np.ndarray]:
    """A fit as SentEval makes it, with torch's linear layer, loss and Adam: (best dev accuracy, weights with the bias)."""
    torch.manual_seed(SEED)
    shuffles = np.random.RandomState(SEED)
    if split.drawn:
        shuffles.permutation(split.drawn)
    model = torch.nn.Linear(features.shape[1], classes)
    descent = torch.optim.Adam(model.parameters(), lr=adam.RATE, weight_decay=decay)
    inputs, answers = torch.from_numpy(features[split.train]), torch.from_numpy(labels[split.train])
    dev, gold = torch.from_numpy(features[split.dev]), torch.from_numpy(labels[split.dev])
    best, accuracy, failures = copy.deepcopy(model.state_dict()), -1.0, 0
    for _ in range(MOST_CHECKS):
        for _ in range(CHECK_EVERY):
            order = torch.from_numpy(shuffles.permutation(len(inputs)))
            for batch in order.split(BATCH):
                loss = torch.nn.functional.cross_entropy(model(inputs[batch]), answers[batch])
                descent.zero_grad()
                loss.backward()
                descent.step()
        with torch.no_grad():
            now = float((model(dev).argmax(1) == gold).double().mean())
        if now > accuracy:
            best, accuracy = copy.deepcopy(model.state_dict()), now
            continue
        if failures >= PATIENCE:
            break
        failures += 1
    return accuracy, np.hstack([best["weight"].numpy(), best["bias"].numpy()[:, None]])
