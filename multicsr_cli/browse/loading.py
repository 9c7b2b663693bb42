"""Store -> numbers of a run, window by window. Texts stay in the store; only their lengths come along, last."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from multicsr_cli.browse.numbers import NAMES, Lengths, Numbers, Places
from store.database import Store
from store.read import numbers as shown
from store.read.runs import View
from store.rows import reviews


def load(store: Store, view: View) -> Iterator[Numbers]:
    """The numbers of a run: first of its first premises, so that there is something to see, then of all."""
    names = list(NAMES)

    def code(name: str) -> int:
        if name not in names:
            names.append(name)
        return names.index(name)

    problems = {premise: code(name) for premise, name in shown.first_problems(store, view.gen).items()}
    repeats: dict[int, int] = {}
    if view.curate is not None:
        repeats = {premise: code(name) for premise, name in shown.repeats(store, view.curate).items()}
    words = reviews.standing(store, view.gen)

    finished = view.score is not None and view.score.finished is not None

    def made(ids: Places, scored: npt.NDArray[np.float64]) -> Numbers:
        a, b = np.full(len(ids), np.nan), np.full(len(ids), np.nan)
        waiting = np.zeros(len(ids), bool)
        if view.score is not None:
            known = np.ones(len(ids), bool) if finished else np.isin(ids, scored[:, 0].astype(np.int64))
            a[known], b[known] = scored[:, 1], scored[:, 2]
            waiting = ~known
        problem, repeat, word = (np.zeros(len(ids), np.int8) for _ in range(3))
        numbers = Numbers(ids, a, b, waiting, problem, repeat, word, names)
        numbers.put(numbers.problem, problems)
        numbers.put(numbers.repeat, repeats)
        numbers.hear(words)
        return numbers

    ids: list[Places] = []
    scores = [np.empty((0, 3))]
    source = shown.scored(store, view.score) if view.score is not None else iter(())
    for rows in source:
        scores.append(np.array(rows, dtype=np.float64))
        if finished:
            ids.append(scores[-1][:, 0].astype(np.int64))
            if len(ids) == 1 and len(rows) == shown.WINDOW:
                yield made(ids[0], scores[-1])
    if not finished:
        ids = [np.array(rows, dtype=np.int64)[:, 0] for rows in shown.drafted(store, view.gen)]
    yield made(np.concatenate(ids) if ids else np.empty(0, np.int64), np.concatenate(scores))


def measure(store: Store, view: View, numbers: Numbers) -> Lengths:
    """Length and source of each premise: texts have to be read for them, so they come last."""
    length, source = np.zeros(len(numbers), np.int32), np.zeros(len(numbers), np.int16)
    numbered: dict[str, int] = {}
    for rows in shown.lengths(store, view.gen):
        ids, lengths, sources = zip(*rows, strict=True)
        for name in sources:
            numbered.setdefault(name, len(numbered))
        known = np.isin(np.array(ids), numbers.ids)  # a run that is being written has grown meanwhile
        places = np.searchsorted(numbers.ids, np.array(ids)[known])
        length[places] = np.array(lengths)[known]
        source[places] = np.array([numbered[name] for name in sources])[known]
    return Lengths(length, source, list(numbered))
