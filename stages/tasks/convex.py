"""The one optimum of the probe's loss, by a solver of scipy. Arrow: vectors -> weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.tasks.linear import Fitted, Split, accuracies

# The solver stops where no slope is steeper: far below what moves a prediction.
SLOPE = 1e-6
MOST_ITERATIONS = 1000


def fit(table: np.ndarray, truth: np.ndarray, splits: Sequence[Split], decays: np.ndarray) -> Fitted:
    """The optimum of each split and decay, by L-BFGS in float64 from scipy. Raises ValueError where none is reached.

    A split starts where the one before ended with as large a decay: most of their rows are the same.
    """
    width, classes = table.shape[1], truth.shape[1]
    weights = np.empty((*decays.shape, classes, width))
    ended = {decay: np.zeros((classes, width)) for decay in np.unique(decays)}
    for place, split in enumerate(splits):
        features, answers = table[split.train].astype(float), truth[split.train].astype(float)
        gram = features.T @ features / len(features)
        for column, decay in enumerate(decays[place]):
            ended[decay] = weights[place, column] = _optimum(features, answers, gram, decay, ended[decay])
    accuracy = [accuracies(table, truth, split.dev, weights[place]) for place, split in enumerate(splits)]
    return Fitted(weights, np.array(accuracy))


def _optimum(
    features: np.ndarray, answers: np.ndarray, gram: np.ndarray, decay: float, start: np.ndarray
) -> np.ndarray:
    """The best weights (classes, d + 1) for one decay.

    The solver moves in coordinates V = W L with L Lᵀ = XᵀX / 4n + decay: about the loss's own curvature, which therefore
    is about 1 in every direction there, and few steps are enough.
    """
    from scipy.optimize import minimize

    root = np.linalg.cholesky(gram / 4 + decay * np.eye(len(gram)))
    back = np.linalg.inv(root)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = objective(flat.reshape(start.shape) @ back, features, answers, decay)
        return value, (gradient @ back.T).ravel()

    limits = {"gtol": SLOPE, "ftol": 0, "maxiter": MOST_ITERATIONS, "maxfun": 2 * MOST_ITERATIONS}
    solved = minimize(loss, (start @ root).ravel(), method="L-BFGS-B", jac=True, options=limits)
    if not np.abs(solved.jac).max() <= 10 * SLOPE:  # a search that rounding ends early is near enough; NaN is not
        raise ValueError(f"the solver found no optimum in {solved.nit} iterations: {solved.message}")
    optimum: np.ndarray = solved.x.reshape(start.shape) @ back
    return optimum


def objective(weights: np.ndarray, features: np.ndarray, answers: np.ndarray, decay: float) -> tuple[float, np.ndarray]:
    """The regularised loss of weights (classes, d + 1) on features (n, d + 1), answers (n, classes), and its gradient."""
    scores = features @ weights.T  # (n, classes)
    scores -= scores.max(1, keepdims=True)
    logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    value = -(answers * logs).sum() / len(features) + decay / 2 * (weights * weights).sum()
    return float(value), (np.exp(logs) - answers).T @ features / len(features) + decay * weights
