"""Stage 2 for pairs, the decision (CLAIF, section 3.3). Arrow: scores -> decision.

A rewrite is dropped where it could not be used or has no score, repeats its premise or an earlier rewrite of it, or where
two of the premise's pairs have its label already. The label of the others is 0.8 y + 0.1 (label smoothing), y the
similarity in [0, 1]; and every premise is paired with two others, drawn at random, towards 0. No model is called.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Sequence

from stages.config import PairConfig
from stages.stage import COMPLETE, Tick, Ticks
from stages.texts.similarity import SCALE
from store.database import Store
from store.problem import Problem
from store.records import Run
from store.rows import drafts, partners
from store.rows.decisions import plain
from store.rows.partners import Partner, Rewrite

VERSION = 1

SMOOTHED, FLOOR = 0.8, 0.1  # a label is FLOOR + SMOOTHED * y
SAME_LABEL = 2  # partners of a sentence that may have the same label
RANDOM = 2  # partners of a sentence that are drawn at random

PREMISES_AT_ONCE = 4096  # what a kill costs

DIGITS = 6  # of a label, so that 0.8 y + 0.1 reads the same wherever it is computed


def run(store: Store, config: PairConfig, parent: Run, at_once: int = PREMISES_AT_ONCE) -> Ticks:
    """Decide on every pair of the score run `parent`, `at_once` premises a transaction."""
    if not parent.finished:
        raise Problem(f"score run {parent.id} is not finished", "run the same `multicsr score` again; it goes on")
    gen = store.parent(parent)
    if not drafts.are_rewrites(store, gen):
        raise Problem(
            f"strategy claif decides on pairs, and gen run {gen.id} wrote triplets",
            "leave it out, or generate with method=claif",
            setting="strategy",
        )
    run = store.begin("curate", VERSION, config, parent=parent.id)
    total = gen.counts["premises"]
    if run.finished:
        yield Tick(total, total, COMPLETE)
        return run
    with store.only_writer(run):
        ids = partners.premises(store, gen)

        def rule(premise: str, place: int, rewrites: Sequence[Rewrite]) -> list[Partner]:
            drawn = others(config.seed, premise, place, len(ids))
            return [
                *judged(premise, rewrites),
                *(Partner(f"random-{number}", ids[other], 0.0, None) for number, other in enumerate(drawn)),
            ]

        for done in partners.decide(store, run, ids, rule, at_once):
            yield Tick(done, total, "deciding", done)
        return store.finish(run, partners.counts(store, run))


def judged(premise: str, rewrites: Sequence[Rewrite]) -> Iterator[Partner]:
    """Each rewrite of a premise with its label and the first reason for which it is dropped."""
    seen, labels = {plain(premise)}, Counter[float]()
    for rewrite in rewrites:
        label = None if rewrite.score is None else round(FLOOR + SMOOTHED * rewrite.score / SCALE, DIGITS)
        text, reason = plain(rewrite.text), rewrite.problem
        if reason is None and label is None:
            reason = "unscored"
        elif reason is None and text in seen:
            reason = "copy" if text == plain(premise) else "duplicate"
        elif reason is None and label is not None and labels[label] == SAME_LABEL:
            reason = "same label"
        if reason is None and label is not None:
            seen.add(text)
            labels[label] += 1
        yield Partner(rewrite.role, None, label, reason)


def others(seed: int, premise: str, place: int, count: int) -> list[int]:
    """The places of a premise's random partners among `count` premises, of which its own is `place`: never that, never one
    twice, and fewer only where there are no more."""
    key = hashlib.blake2b(f"{seed}/random/{premise}".encode(), digest_size=8).digest()
    draw = random.Random(int.from_bytes(key, "big")).random  # the same numbers in every version of Python
    taken = [place]
    while len(taken) <= min(RANDOM, count - 1):
        other = int(draw() * count)
        if other not in taken:
            taken.append(other)
    return taken[1:]
