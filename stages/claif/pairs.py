"""Stage 2 for pairs, the decision (CLAIF, section 3.3). Arrow: scores -> decision.

A rewrite is dropped where it could not be used or has no score, repeats its premise or an earlier rewrite of it, or where
two of the premise's pairs have its label already. The label of the others is 0.8 y + 0.1 (label smoothing), y the
similarity in [0, 1]. Then every premise is paired, towards 0, with two of the rewrites that were kept of other premises,
drawn at random as in the published code: of a pair, the second sentence is always one that the LLM wrote. No model is
called.
"""

from __future__ import annotations

import hashlib
import random
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

from stages.config import PairConfig
from stages.stage import COMPLETE, Tick, Ticks
from stages.texts.similarity import SCALE
from store.database import Store
from store.problem import Problem
from store.records import Run
from store.rows import drafts, partners
from store.rows.decisions import plain
from store.rows.partners import Kept, Partner, Rewrite

VERSION = 2  # random partners are rewrites

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

        for done in partners.decide(store, run, ids, judged, at_once):
            yield Tick(done, total, "deciding", done)
        kept = partners.kept(store, run, ids)
        for _ in partners.draw(store, run, ids, partial(drawn, config.seed, kept), at_once):
            yield Tick(total, total, "drawing random partners", total)
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
        yield Partner(rewrite.role, label, reason)


def drawn(seed: int, kept: Kept, premise: str, id: int) -> Iterator[Partner]:
    """The random partners of the premise `id` among the rewrites that are kept."""
    for number, place in enumerate(others(seed, kept.premises, premise, id)):
        yield Partner(f"random-{number}", 0.0, None, kept.premises[place], kept.role(place))


def others(seed: int, premises: Sequence[int], premise: str, id: int) -> list[int]:
    """The places of a premise's random partners among rewrites of which `premises`, ascending, tells the premise of each.

    Each rewrite of the premises left is as likely as any other: left out are its own and those of a premise that was drawn.
    There are fewer than RANDOM only where no more premises have a rewrite.
    """
    key = hashlib.blake2b(f"{seed}/random/{premise}".encode(), digest_size=8).digest()
    draw = random.Random(int.from_bytes(key, "big")).random  # the same numbers in every version of Python
    found: list[int] = []
    out = [(bisect_left(premises, id), bisect_right(premises, id))]  # spans of places
    while len(found) < RANDOM and (left := len(premises) - sum(end - start for start, end in out)):
        place = int(draw() * left)
        for start, end in sorted(out):
            place += end - start if place >= start else 0
        found.append(place)
        out.append((bisect_left(premises, premises[place]), bisect_right(premises, premises[place])))
    return found
