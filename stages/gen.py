"""Stage 1, generation. Arrow: premise -> hypotheses.

The LLM writes the hypotheses of each premise as the run's method says (`stages/methods.py`): by contrastive decoding an
entailment and a contradiction (`stages/texts/hypotheses.py`; MultiCSR, eq. 1-2), or CLAIF's nine rewrites
(`stages/claif/rewrites.py`). Every draft is stored: one that is empty, a refusal or without end keeps its raw text and the
name of its problem.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from stages.config import GenConfig
from stages.methods import METHODS
from stages.models.llm.request import Draft, Sampling, Writer
from stages.pace.batches import Batches
from stages.pace.workers import Engine, InProcess
from stages.stage import COMPLETE, Notes, Tally, Tick, Ticks
from stages.texts import replies
from stages.texts.hypotheses import NOTHING, Asked, Shown
from stages.texts.prompts import PromptSet
from store.database import Store
from store.records import WHOLE, DraftRow, Premise, Run, Shard
from store.rows import drafts, premises

if TYPE_CHECKING:
    from stages.texts.demonstrations import Demonstrations

VERSION = 1
REWRITES_VERSION = 2  # of CLAIF's rewrites: neighbouring masks are merged in the whole sentence or not at all

# How many missing premises are read at once and sorted by length, so that a batch holds alike lengths.
WINDOW = 4096


def version(config: GenConfig) -> int:
    """What the rows of a run mean, by its method."""
    return REWRITES_VERSION if config.method == "claif" else VERSION


def run(
    store: Store,
    config: GenConfig,
    prompts: PromptSet,
    load: Callable[[], Writer],
    batch: int | None,
    device: str,
    notes: Notes | None = None,
    demonstrations: Demonstrations | None = None,
    shard: Shard = WHOLE,
    engine: Engine | None = None,
) -> Ticks:
    """Write what is missing of the run, `batch` premises side by side (None: as many as fit); those that are done are stored
    before others begin. With a `shard`, only its premises: the run is finished when none is missing of the whole of it.
    `engine` says where the LLM works (None: here)."""
    run = store.begin("gen", version(config), config, parent=None, environment={"device": device, **(notes or {})})
    if run.finished:
        yield Tick(run.counts["premises"], run.counts["premises"], COMPLETE)
        return run
    drafts.keep_prompt_set(store, config.prompts_digest, prompts.name, prompts.toml)
    engine = engine or InProcess()
    with store.only_writer(run):
        first, last, total = premises.bounds(store, config.premises, config.limit, shard)
        done = drafts.done(store, run) if shard == WHOLE else drafts.done_between(store, run, first, last)
        tally = Tally(done, total)
        if not tally.left:
            yield tally.tick(COMPLETE)
        for place, window in enumerate(_windows(store, run, config.premises, first, last)):
            if not place:
                yield tally.tick("loading the LLM")
                engine.start(load, Batches(batch, "premises", device), tally.left)
                yield tally.tick("writing")
            shown = yield from _find(demonstrations, window, tally)
            work = partial(paced, config=config, prompts=prompts, shown=shown)
            yield from _keep(store, run, engine, engine.flow(window, work), tally)
        yield from _keep(store, run, engine, engine.rest(), tally)
        if drafts.done(store, run) < premises.count(store, config.premises, config.limit):
            return run  # of other shards
        return store.finish(run, drafts.counts(store, run))


def _windows(store: Store, run: Run, source: str, first: int, last: int) -> Iterator[list[Premise]]:
    """The missing premises behind position `first` up to `last`, window by window, each with the longest first."""
    after = 0
    while window := drafts.missing(store, run, source, last, after, WINDOW, first):
        after = window[-1].id
        yield sorted(window, key=lambda premise: -len(premise.text))


def _find(
    demonstrations: Demonstrations | None, window: Sequence[Premise], tally: Tally
) -> Generator[Tick, None, Shown]:
    """What is shown with each premise of a window."""
    if demonstrations is None:
        return NOTHING
    yield tally.tick("finding demonstrations")
    texts = [premise.text for premise in window]
    shown = dict(zip(texts, demonstrations.near(texts), strict=True))
    yield tally.tick("writing", demonstrations.vectors.batches.take_warning())
    return shown


def paced(
    part: Sequence[Premise], writer: Writer, batches: Batches, config: GenConfig, prompts: PromptSet, shown: Shown
) -> Iterator[list[tuple[int, list[DraftRow]]]]:
    """`write` at the pace of `batches`: what an engine takes to the model."""
    measure = partial(capacity, config=config, prompts=prompts, writer=writer, shown=shown)
    work = partial(write, config=config, prompts=prompts, writer=writer, shown=shown)
    return batches.flow(part, measure, work)


def capacity(premise: Premise, config: GenConfig, prompts: PromptSet, writer: Writer, shown: Shown = NOTHING) -> int:
    """How many premises as long as this one can be worked on at once."""
    asked, texts = METHODS[config.method].ask([premise], config, prompts, writer, shown)
    return writer.capacity(texts, [each.line for each in asked], config.max_tokens)


def write(
    part: Sequence[Premise],
    at_once: int,
    config: GenConfig,
    prompts: PromptSet,
    writer: Writer,
    shown: Shown = NOTHING,
) -> Iterator[list[tuple[int, list[DraftRow]]]]:
    """Premises in, drafts out: the pure middle of the stage, which asks neither store nor clock.

    `at_once` premises are written side by side; yields (place in `part`, the drafts of all roles) as they are done.
    """
    method = METHODS[config.method]
    asked, texts = method.ask(part, config, prompts, writer, shown)
    lines, roles = [each.line for each in asked], len(method.roles)
    ends, sampling = partial(_ends, prompts=prompts), _sampling(config)
    begun: dict[int, dict[int, DraftRow]] = {}  # place in `part` -> the drafts that wait for their premise's others
    for drafted in writer.writing(texts, lines, config.max_tokens, ends, sampling, at_once * roles):
        whole = []
        for line, draft in drafted:
            place = line // roles
            rows = begun.setdefault(place, {})
            rows[line] = read(draft, part[place], asked[line], config, prompts)
            if len(rows) == roles:
                whole.append((place, [rows[each] for each in sorted(rows)]))
                del begun[place]
        if whole:
            yield whole


def _ends(written: str, prompts: PromptSet) -> bool:
    """Whether what was written is a whole hypothesis."""
    body = written.lstrip()
    marked = any(mark in body for mark in prompts.stop)
    return marked or (prompts.one_sentence and replies.sentence_end(body) is not None)


def _sampling(config: GenConfig) -> Sampling | None:
    if config.temperature is None or config.top_p is None:
        return None
    return Sampling(config.seed, config.temperature, config.top_p)


def read(draft: Draft, premise: Premise, asked: Asked, config: GenConfig, prompts: PromptSet) -> DraftRow:
    """What the LLM wrote, as it is stored: the hypothesis, and where that is not the whole of it, the raw text too."""
    cleaned = replies.clean(draft.text, prompts.stop, prompts.one_sentence)
    problem = draft.problem or replies.problem(cleaned, draft.ended, prompts.refusals)
    problem = problem or METHODS[config.method].problem(cleaned, asked, prompts)
    raw = draft.text if problem or draft.text.strip() != cleaned else None
    return DraftRow(premise.id, asked.role, cleaned, raw, problem, asked.template, draft.tokens, asked.masked)


def _keep(
    store: Store, run: Run, engine: Engine, written: Iterator[list[list[DraftRow]]], tally: Tally
) -> Iterator[Tick]:
    """Store the drafts of premises as the engine gives them, with what they cost."""
    for done in written:
        drafts.add(store, run, [row for rows in done for row in rows], engine.take_spent())
        tally.add(len(done))
        yield tally.tick(f"writing {engine.pace()}", engine.take_warning())
