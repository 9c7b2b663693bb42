"""Stage 2, the scores. Arrow: hypotheses -> scores.

The LLM that wrote the hypotheses says how similar each is to its premise, in [0, 5]; how it is read, and what can score in
its place, stands in stages/texts/scorers.py. A reply without a number in range is stored with no value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from stages.config import ModelScoresConfig, ScoreConfig
from stages.pace.batches import Batches
from stages.pace.vectors import Vectors
from stages.pace.workers import Engine, InProcess
from stages.stage import COMPLETE, Notes, Tally, Tick, Ticks
from stages.texts.prompts import PromptSet
from stages.texts.scorers import ByClassifier, ByEncoder, ByLLM, Scorer
from store.database import Store
from store.problem import Problem
from store.records import Run, ScoreRow
from store.rows import drafts, scores
from store.rows.scores import Unscored

VERSION = 1

WINDOW = 4096  # how many missing premises are read at once and sorted by length


def run(
    store: Store,
    config: ScoreConfig | ModelScoresConfig,
    parent: Run,
    prompts: PromptSet | None,
    load: Callable[[], Any],
    batch: int | None,
    device: str,
    notes: Notes | None = None,
    engine: Engine | None = None,
) -> Ticks:
    """Score what is missing of the gen run `parent`, a batch of premises a transaction; with `batch` None what fits.

    `load` gives the LLM (a Reader), encoder or classifier that the config names; `prompts` are those of an LLM. `engine`
    says where the model works (None: here); an encoder, whose vectors are kept in the store, can work nowhere else.
    """
    refuse_unfinished(parent)
    run = store.begin("score", VERSION, config, parent=parent.id, environment={"device": device, **(notes or {})})
    total = parent.counts["premises"]
    if run.finished:
        yield Tick(total, total, COMPLETE)
        return run
    if isinstance(config, ScoreConfig):
        assert prompts is not None
        drafts.keep_prompt_set(store, config.prompts_digest, prompts.name, prompts.toml)
    engine, batches = engine or InProcess(), Batches(batch, "premises", device)
    with store.only_writer(run):
        tally = Tally(scores.done(store, run), total)
        if not tally.left:
            yield tally.tick(COMPLETE)
        for place, window in enumerate(_windows(store, run)):
            if not place:
                yield tally.tick("loading the LLM" if prompts else "loading the model")
                engine.start(scorer_of(store, config, prompts, load, batches), batches, tally.left)
                yield tally.tick("scoring")
            yield from _keep(store, run, engine, engine.flow(window, paced), tally)
        yield from _keep(store, run, engine, engine.rest(), tally)
        return store.finish(run, scores.counts(store, run))


def refuse_unfinished(parent: Run) -> None:
    """Raise Problem for a gen run that still lacks premises."""
    if not parent.finished:
        raise Problem(
            f"gen run {parent.id} is not finished",
            "run the same `multicsr gen` again; it goes on. Shards are joined by `multicsr merge`",
        )


def _windows(store: Store, run: Run) -> Iterator[list[Unscored]]:
    """The premises without scores, window by window, each with the longest first."""
    after = 0
    while window := scores.missing(store, run, after, WINDOW):
        after = window[-1].premise
        yield sorted(window, key=lambda row: -len(row.text) - max(len(hypothesis) for _, hypothesis in row.hypotheses))


def scorer_of(
    store: Store,
    config: ScoreConfig | ModelScoresConfig,
    prompts: PromptSet | None,
    load: Callable[[], Any],
    batches: Batches,
) -> Callable[[], Scorer]:
    """How to load what scores as the config says, in another process too unless it is an encoder; that one is loaded at the
    first text whose vector is not kept."""
    if isinstance(config, ScoreConfig):
        assert prompts is not None
        asked = prompts.with_shots(config.by, config.shots, config.graded)
        return lambda: ByLLM(config, asked, load())
    if config.kind == "encoder":
        return lambda: ByEncoder(Vectors(store, config.model_fingerprint, load, batches))
    return lambda: ByClassifier(load())


def paced(part: Sequence[Unscored], scorer: Scorer, batches: Batches) -> Iterator[list[tuple[int, list[ScoreRow]]]]:
    """`score` at the pace of `batches`, with the place of each premise in `part`: what an engine takes to the model."""
    done = 0
    for some, rows in batches.over(part, partial(capacity, scorer=scorer), partial(score, scorer=scorer)):
        left = iter(rows)
        yield [(done + place, list(islice(left, len(row.hypotheses)))) for place, row in enumerate(some)]
        done += len(some)


def capacity(row: Unscored, scorer: Scorer) -> int:
    """How many premises with hypotheses as long as these can be scored at once."""
    return scorer.capacity([(row.text, hypothesis) for _, hypothesis in row.hypotheses])


def score(part: Sequence[Unscored], scorer: Scorer) -> list[ScoreRow]:
    """Premises with their hypotheses in, scores out: the pure middle of the stage."""
    asked = [(row, role, hypothesis) for row in part for role, hypothesis in row.hypotheses]
    pairs = [(row.text, hypothesis) for row, _, hypothesis in asked]
    usable = [place for place, (_, hypothesis) in enumerate(pairs) if hypothesis]
    answers = scorer.similarities([pairs[place] for place in usable]) if usable else []
    answered = dict(zip(usable, answers, strict=True))
    return [ScoreRow(row.premise, role, *answered.get(place, (None, ""))) for place, (row, role, _) in enumerate(asked)]


def _keep(
    store: Store, run: Run, engine: Engine, scored: Iterator[list[list[ScoreRow]]], tally: Tally
) -> Iterator[Tick]:
    """Store the scores of premises as the engine gives them, with what they cost."""
    for done in scored:
        scores.add(store, run, [row for rows in done for row in rows], engine.take_spent())
        tally.add(len(done))
        yield tally.tick(f"scoring {engine.pace()}", engine.take_warning())
