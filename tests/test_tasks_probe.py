"""The probe against SentEval's own loop in torch, one fit after another; and the solver against the gradient it must zero."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from benchmarks.probe import one_by_one
from stages.tasks import adam, convex, linear, probe
from stages.tasks.linear import SEED, Split
from stages.tasks.probe import DECAYS

ROWS, WIDTH = 230, 12


def data(classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noisy classes: (features, labels), so that no fit finds all and the best epochs differ."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, ROWS)
    middles = generator.normal(size=(classes, WIDTH))
    return (middles[labels] + 1.5 * generator.normal(size=(ROWS, WIDTH))).astype(np.float32), labels


def splits(labels: np.ndarray, count: int = 5) -> list[Split]:
    """Folds of two sizes, and one with held-out rows."""
    every = [Split(rest, fold) for rest, fold in linear.folds(labels, count)]
    return [*every, linear.held_out(np.arange(len(labels)))]


def fitted(classes: int, chosen: list[Split], decays: np.ndarray, kind: str = "adam") -> linear.Fitted:
    features, labels = data(classes)
    truth = np.eye(classes, dtype=np.float32)[labels]
    return probe.fit(kind, linear.with_ones(features), truth, chosen, decays)


def all_decays(count: int) -> np.ndarray:
    return np.tile(DECAYS, (count, 1))


@pytest.mark.parametrize("classes", [2, 6])
def test_every_fit_ends_where_sentevals_loop_ends(classes: int) -> None:
    """The same best epoch, the same weights, for every split and decay, with the bias decayed too."""
    features, labels = data(classes)
    chosen = splits(labels)
    ours = fitted(classes, chosen, all_decays(len(chosen)))
    for place, split in enumerate(chosen):
        for column, decay in enumerate(DECAYS):
            accuracy, weights = one_by_one(features, labels, split, decay, classes)
            assert ours.accuracy[place, column] == pytest.approx(accuracy, abs=1e-6)
            assert ours.weights[place, column] == pytest.approx(weights, abs=1e-4)
    assert len({float(accuracy) for accuracy in ours.accuracy.ravel()}) > 3


@pytest.mark.parametrize(("width", "classes"), [(384, 2), (7, 6), (1, 3)])
def test_the_first_weights_are_torchs(width: int, classes: int) -> None:
    torch.manual_seed(SEED)
    layer = torch.nn.Linear(width, classes)
    expected = np.hstack([layer.weight.detach().numpy(), layer.bias.detach().numpy()[:, None]])
    assert adam.first_weights(classes, width) == pytest.approx(expected, abs=1e-7)


def test_a_fit_does_not_depend_on_its_company() -> None:
    """Alone, with others, in another order, without a decay: the same weights and accuracies, also of fits that go on
    after others have ended."""
    _, labels = data(3)
    chosen = splits(labels)
    together = fitted(3, chosen, all_decays(len(chosen)))
    turned = fitted(3, chosen[::-1], all_decays(len(chosen))[:, ::-1])
    assert turned.accuracy[::-1, ::-1] == pytest.approx(together.accuracy, abs=1e-9)
    assert turned.weights[::-1, ::-1] == pytest.approx(together.weights, abs=1e-5)
    for place, split in enumerate(chosen):
        for column, decay in enumerate(DECAYS):
            alone = fitted(3, [split], np.array([[decay]]))
            assert alone.accuracy[0, 0] == together.accuracy[place, column]
            assert alone.weights[0, 0] == pytest.approx(together.weights[place, column], abs=1e-5)


def test_more_splits_than_go_side_by_side_are_all_trained() -> None:
    _, labels = data(2)
    chosen = splits(labels)[:1] * (2 * adam.SIDE_BY_SIDE + 1)
    found = fitted(2, chosen, all_decays(len(chosen)))
    assert np.unique(found.accuracy, axis=0).shape == (1, len(DECAYS))
    assert np.ptp(found.weights, axis=0).max() < 1e-5


@pytest.mark.parametrize("classes", [2, 6])
def test_the_solver_reaches_the_optimum(classes: int) -> None:
    """No slope is left, no step away is better, and with a small decay adam's loss is above it."""
    features, labels = data(classes)
    chosen = splits(labels)
    found = fitted(classes, chosen, all_decays(len(chosen)), "convex")
    near = fitted(classes, chosen, all_decays(len(chosen)))
    table, truth = linear.with_ones(features).astype(float), np.eye(classes)[labels]
    generator = np.random.default_rng(1)
    for place, split in enumerate(chosen):
        for column, decay in enumerate(DECAYS):
            given = table[split.train], truth[split.train], decay
            weights = found.weights[place, column]
            least, gradient = convex.objective(weights, *given)
            assert np.abs(gradient).max() < 1e-4
            away = weights + 0.05 * generator.normal(size=weights.shape)
            assert convex.objective(away, *given)[0] > least
            assert convex.objective(near.weights[place, column].astype(float), *given)[0] > least


def test_the_objective_is_torchs_loss_with_its_decay() -> None:
    """Value and gradient: cross-entropy by autograd, plus decay / 2 of the squares, the bias among them."""
    features, labels = data(3)
    weights = torch.randn(3, WIDTH + 1, dtype=torch.float64, generator=torch.manual_seed(0), requires_grad=True)
    table = linear.with_ones(features).astype(float)
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(table) @ weights.T, torch.from_numpy(labels))
    loss = loss + 0.3 / 2 * (weights**2).sum()
    loss.backward()
    value, gradient = convex.objective(weights.detach().numpy(), table, np.eye(3)[labels], 0.3)
    assert value == pytest.approx(loss.item(), abs=1e-12)
    assert weights.grad is not None
    assert gradient == pytest.approx(weights.grad.numpy(), abs=1e-12)


def test_vectors_without_an_optimum_are_refused() -> None:
    features, labels = data(2)
    features[3, 3] = np.inf
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="no optimum"):
        probe.fit("convex", linear.with_ones(features), np.eye(2)[labels], splits(labels)[-1:], np.array([[0.1]]))


@given(st.lists(st.integers(0, 3), min_size=12, max_size=90), st.integers(2, 10))
def test_folds_are_those_of_scikit_learn(labels: list[int], count: int) -> None:
    """Also where classes are rare, absent, or appear in another order than their numbers."""
    array = np.array(labels)
    if np.bincount(array).max() < count:
        return
    expected = StratifiedKFold(count, shuffle=True, random_state=SEED)
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(UserWarning)
        pairs = list(expected.split(np.zeros(len(array)), array))
    for (rest, fold), (train, test) in zip(linear.folds(array, count), pairs, strict=True):
        assert rest.tolist() == train.tolist()
        assert fold.tolist() == test.tolist()


def test_held_out_rows_are_a_twentieth_and_never_learned_from() -> None:
    rows = np.arange(100, 300)
    split = linear.held_out(rows)
    assert sorted([*split.train, *split.dev]) == rows.tolist()
    assert len(split.dev) == 10
    assert split.drawn == 200
