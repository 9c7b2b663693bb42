"""Stage 2, the scores. Arrow: hypotheses -> scores.

The LLM that wrote the hypotheses says how similar each is to its premise, in [0, 5]; how it is read, and what can score in
its place, stands in stages/scorers.py. A reply without a number in range is stored with no value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from stages.batches import Batches
from stages.config import ModelScoresConfig, ScoreConfig
from stages.prompts import PromptSet
from stages.scorers import ByClassifier, ByEncoder, ByLLM, Scorer
from stages.stage import COMPLETE, Notes, Tick, Ticks
from stages.vectors import Vectors
from store import drafts, scores
from store.database import Store
from store.records import Problem, Run, ScoreRow
from store.scores import Unscored

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
) -> Ticks:
    """Score what is missing of the gen run `parent`, a batch of premises a transaction; with `batch` None what fits.

    `load` gives the LLM (a Reader), encoder or classifier that the config names; `prompts` are those of an LLM.
    """
    if not parent.finished:
        raise Problem(
            f"gen run {parent.id} is not finished",
            "run the same `multicsr gen` again; it goes on. Shards are joined by `multicsr merge`",
        )
    run = store.begin("score", VERSION, config, parent=parent.id, environment={"device": device, **(notes or {})})
    total = parent.counts["premises"]
    if run.finished:
        yield Tick(total, total, COMPLETE)
        return
    if isinstance(config, ScoreConfig):
        assert prompts is not None
        drafts.keep_prompt_set(store, config.prompts_digest, prompts.name, prompts.toml)
    batches = Batches(batch, "premises", device)
    with store.only_writer(run):
        done, fresh, after, scorer = scores.done(store, run), 0, 0, None
        while window := scores.missing(store, run, after, WINDOW):
            after = window[-1].premise
            if scorer is None:
                yield Tick(done, total, "loading the LLM" if prompts else "loading the model")
                scorer = scorer_of(store, config, prompts, load, batches)
                measure, work = partial(fits, scorer=scorer), partial(score, scorer=scorer)
                yield Tick(done, total, "scoring")
            window.sort(key=lambda row: -len(row.text) - max(len(hypothesis) for _, hypothesis in row.hypotheses))
            for part, rows in batches.over(window, measure, work):
                scores.add(store, run, rows, scorer.spent())
                done, fresh = done + len(part), fresh + len(part)
                yield Tick(done, total, "scoring", fresh, batches.warning())
        store.finish(run, scores.counts(store, run))


def scorer_of(
    store: Store,
    config: ScoreConfig | ModelScoresConfig,
    prompts: PromptSet | None,
    load: Callable[[], Any],
    batches: Batches,
) -> Scorer:
    """What scores as the config says. An encoder is loaded at the first text whose vector is not kept."""
    if isinstance(config, ScoreConfig):
        assert prompts is not None
        return ByLLM(config, prompts, load())
    if config.kind == "encoder":
        return ByEncoder(Vectors(store, config.model_fingerprint, load, batches))
    return ByClassifier(load())


def fits(row: Unscored, scorer: Scorer) -> int:
    """How many premises with hypotheses as long as these can be scored at once."""
    return scorer.fits([(row.text, hypothesis) for _, hypothesis in row.hypotheses])


def score(part: Sequence[Unscored], scorer: Scorer) -> list[ScoreRow]:
    """Premises with their hypotheses in, scores out: the pure middle of the stage."""
    asked = [(row, role, hypothesis) for row in part for role, hypothesis in row.hypotheses]
    pairs = [(row.text, hypothesis) for row, _, hypothesis in asked]
    usable = [place for place, (_, hypothesis) in enumerate(pairs) if hypothesis]
    found: dict[int, tuple[float | None, str]] = {}
    if usable:
        answers = scorer.similarities([pairs[place] for place in usable])
        found = dict(zip(usable, answers, strict=True))
    return [ScoreRow(row.premise, role, *found.get(place, (None, ""))) for place, (row, role, _) in enumerate(asked)]
