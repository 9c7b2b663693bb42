"""Stage 2, the scores. Arrow: hypotheses -> scores.

The LLM that wrote the hypotheses says how similar each is to its premise, in [0, 5]; how it is read stands in
stages/similarity.py. A reply without a number in range is stored with no value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from stages import similarity
from stages.batches import Batches
from stages.config import ScoreConfig
from stages.models.request import Reader
from stages.prompts import PromptSet
from stages.stage import COMPLETE, Notes, Tick, Ticks
from store import drafts, scores
from store.database import Store
from store.records import Problem, Run, ScoreRow
from store.scores import Unscored

VERSION = 1

WINDOW = 4096  # how many missing premises are read at once and sorted by length


def run(
    store: Store,
    config: ScoreConfig,
    parent: Run,
    prompts: PromptSet,
    load: Callable[[], Reader],
    batch: int | None,
    device: str,
    notes: Notes | None = None,
) -> Ticks:
    """Score what is missing of the gen run `parent`, a batch of premises a transaction; with `batch` None what fits."""
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
    drafts.keep_prompt_set(store, config.prompts_digest, prompts.name, prompts.toml)
    batches = Batches(batch, "premises", device)
    with store.only_writer(run):
        done, fresh, after, reader = scores.done(store, run), 0, 0, None
        while window := scores.missing(store, run, after, WINDOW):
            after = window[-1].premise
            if reader is None:
                yield Tick(done, total, "loading the LLM")
                reader = load()
                measure = partial(fits, config=config, prompts=prompts, reader=reader)
                work = partial(score, config=config, prompts=prompts, reader=reader)
                yield Tick(done, total, "scoring")
            window.sort(key=lambda row: -len(row.text) - max(len(hypothesis) for _, hypothesis in row.hypotheses))
            for part, rows in batches.over(window, measure, work):
                scores.add(store, run, rows, reader.spent())
                done, fresh = done + len(part), fresh + len(part)
                yield Tick(done, total, "scoring", fresh, batches.warning())
        store.finish(run, scores.counts(store, run))


def fits(row: Unscored, config: ScoreConfig, prompts: PromptSet, reader: Reader) -> int:
    """How many premises with hypotheses as long as these can be scored at once."""
    return similarity.fits([(row.text, hypothesis) for _, hypothesis in row.hypotheses], config, prompts, reader)


def score(part: Sequence[Unscored], config: ScoreConfig, prompts: PromptSet, reader: Reader) -> list[ScoreRow]:
    """Premises with their hypotheses in, scores out: the pure middle of the stage."""
    asked = [(row, role, hypothesis) for row in part for role, hypothesis in row.hypotheses]
    pairs = [(row.text, hypothesis) for row, _, hypothesis in asked]
    usable = [place for place, (_, hypothesis) in enumerate(pairs) if hypothesis]
    found: dict[int, tuple[float | None, str]] = {}
    if usable:
        answers = similarity.similarities([pairs[place] for place in usable], config, prompts, reader)
        found = dict(zip(usable, answers, strict=True))
    return [ScoreRow(row.premise, role, *found.get(place, (None, ""))) for place, (row, role, _) in enumerate(asked)]
