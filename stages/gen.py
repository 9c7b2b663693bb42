"""Stage 1, generation. Arrow: premise -> hypotheses.

For each premise one entailment and one contradiction instruction are drawn; the LLM writes both hypotheses by contrastive
decoding, each with the other's instruction as its noise (MultiCSR, eq. 1-2; the loop is `stages/models/llm/decoding.py`).
With nu, which is not in the paper, what the same instruction brings forth without any premise is taken away too. Where a
labelled corpus lends demonstrations (appendix G; `stages/texts/demonstrations.py`), they stand before the instruction, each
with its hypothesis of the role that is written: in the noise, that is the opposite one. CLAIF's nine rewrites take the place
of all this with `--method claif` (`stages/claif/rewrites.py`). Every draft is stored: one that is
empty, a refusal or without end keeps its raw text and the name of its problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from stages.claif import rewrites
from stages.config import GenConfig
from stages.models.llm.request import Draft, Line, Noise, Prompt, Sampling, Writer
from stages.pace.batches import Batches
from stages.pace.workers import Engine, InProcess
from stages.stage import COMPLETE, Notes, Tick, Ticks
from stages.texts import replies
from stages.texts.prompts import NO_PREMISE, PromptSet, with_demonstrations
from store.database import Store
from store.records import REWRITES, ROLES, WHOLE, DraftRow, Premise, Shard, Triplet
from store.rows import drafts, premises

if TYPE_CHECKING:
    from stages.texts.demonstrations import Demonstrations

VERSION = 1

# The triplets that are shown with a premise, by its text, the nearest last.
Shown = Mapping[str, Sequence[Triplet]]
NOTHING: Shown = {}

# How many missing premises are read at once and sorted by length, so that a batch holds alike lengths.
WINDOW = 4096


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
    run = store.begin("gen", VERSION, config, parent=None, environment={"device": device, **(notes or {})})
    if run.finished:
        yield Tick(run.counts["premises"], run.counts["premises"], COMPLETE)
        return
    drafts.keep_prompt_set(store, config.prompts_digest, prompts.name, prompts.toml)
    first, last, total = premises.bounds(store, config.premises, config.limit, shard)
    engine = engine or InProcess()
    with store.only_writer(run):
        done = drafts.done(store, run) if shard == WHOLE else drafts.done_between(store, run, first, last)
        fresh, after = 0, 0

        def stored(results: Iterator[list[list[DraftRow]]]) -> Ticks:
            nonlocal done, fresh
            for written in results:
                drafts.add(store, run, [row for rows in written for row in rows], engine.take_spent())
                done, fresh = done + len(written), fresh + len(written)
                yield Tick(done, total, f"writing {engine.pace()}".rstrip(), fresh, engine.take_warning())

        while window := drafts.missing(store, run, config.premises, last, after, WINDOW, first):
            if not after:
                yield Tick(done, total, "loading the LLM")
                engine.start(load, Batches(batch, "premises", device), total - done)
                yield Tick(done, total, "writing")
            after = window[-1].id
            shown = NOTHING
            if demonstrations is not None:
                yield Tick(done, total, "finding demonstrations", fresh)
                texts = [premise.text for premise in window]
                shown = dict(zip(texts, demonstrations.near(texts), strict=True))
                yield Tick(done, total, "writing", fresh, demonstrations.vectors.batches.take_warning())
            window.sort(key=lambda premise: -len(premise.text))
            yield from stored(engine.flow(window, partial(paced, config=config, prompts=prompts, shown=shown)))
        yield from stored(engine.rest())
        if drafts.done(store, run) == premises.count(store, config.premises, config.limit):
            store.finish(run, drafts.counts(store, run))


def paced(
    part: Sequence[Premise], writer: Writer, batches: Batches, config: GenConfig, prompts: PromptSet, shown: Shown
) -> Iterator[list[tuple[int, list[DraftRow]]]]:
    """`write` at the pace of `batches`: what an engine takes to the model."""
    measure = partial(capacity, config=config, prompts=prompts, writer=writer, shown=shown)
    work = partial(write, config=config, prompts=prompts, writer=writer, shown=shown)
    return batches.flow(part, measure, work)


def capacity(premise: Premise, config: GenConfig, prompts: PromptSet, writer: Writer, shown: Shown = NOTHING) -> int:
    """How many premises as long as this one can be worked on at once."""
    _, asked, lines = requests([premise], config, prompts, writer, shown)
    return writer.capacity(asked, lines, config.max_tokens)


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

    def ends(written: str) -> bool:
        body = written.lstrip()
        marked = any(mark in body for mark in prompts.stop)
        return marked or (prompts.one_sentence and replies.sentence_end(body) is not None)

    templates, asked, lines = requests(part, config, prompts, writer, shown)
    sampling = None
    if config.temperature is not None and config.top_p is not None:
        sampling = Sampling(config.seed, config.temperature, config.top_p)
    roles = REWRITES if config.method == "claif" else ROLES
    begun: dict[int, dict[str, DraftRow]] = {}  # place in `part` -> the drafts that wait for their premise's others
    for drafted in writer.writing(asked, lines, config.max_tokens, ends, sampling, at_once * len(roles)):
        whole = []
        for line, draft in drafted:
            place, role = line // len(roles), roles[line % len(roles)]
            rows = begun.setdefault(place, {})
            gaps = (
                rewrites.masked(part[place].text, role, config.seed, prompts.gap) if config.method == "claif" else None
            )
            rows[role] = read(draft, part[place], role, templates[line], prompts, gaps)
            if len(rows) == len(roles):
                whole.append((place, [begun[place][role] for role in roles]))
                del begun[place]
        if whole:
            yield whole


def requests(
    part: Sequence[Premise], config: GenConfig, prompts: PromptSet, writer: Writer, shown: Shown
) -> tuple[list[str], list[Prompt], list[Line]]:
    """What is asked for each of the roles that the run's method writes."""
    if config.method == "claif":
        return rewrites.ask(part, config, prompts, writer)
    return ask(part, config, prompts, writer, shown)


def read(
    draft: Draft, premise: Premise, role: str, template: str, prompts: PromptSet, masked: str | None = None
) -> DraftRow:
    """What the LLM wrote, as it is stored: the hypothesis, and where that is not the whole of it, the raw text too.

    `masked` is what it was shown in the premise's place, with masks of which none may be left.
    """
    cleaned = replies.clean(draft.text, prompts.stop, prompts.one_sentence)
    problem = draft.problem or replies.problem(cleaned, draft.ended, prompts.refusals)
    if problem is None and masked is not None and rewrites.left_over(cleaned, prompts.gap):
        problem = "mask"
    raw = draft.text if problem or draft.text.strip() != cleaned else None
    return DraftRow(premise.id, role, cleaned, raw, problem, template, draft.tokens, masked)


def ask(
    part: Sequence[Premise], config: GenConfig, prompts: PromptSet, writer: Writer, shown: Shown = NOTHING
) -> tuple[list[str], list[Prompt], list[Line]]:
    """(template, line) of each hypothesis to be written, for each premise in the order of ROLES, and the prompts of all."""
    templates: list[str] = []
    places: dict[Prompt, int] = {}  # each prompt once: without a premise it is the same for many

    def place(template: str, premise: str) -> int:
        return places.setdefault(fill(template, premise), len(places))

    lines: list[Line] = []
    for premise in part:
        near = shown.get(premise.text, ())
        drawn = []
        for role in ROLES:
            template = prompts.template(role).draw(config.seed, role, premise.text)
            template = with_demonstrations(template, [(other.premise, getattr(other, role)) for other in near])
            drawn.append(writer.wrap(template) if prompts.chat else template)
        templates += drawn
        entailment, contradiction = drawn
        for role, own, opposite, omega in (
            ("entailment", entailment, contradiction, config.omega),
            ("contradiction", contradiction, entailment, config.omega_contradiction),
        ):
            noises = [Noise(place(opposite, premise.text), omega)] if omega else []
            noises += [Noise(place(own, NO_PREMISE), config.nu)] if config.nu else []
            lines.append(Line(place(own, premise.text), tuple(noises), f"{role}/{premise.text}"))
    return templates, list(places), lines


def fill(template: str, premise: str) -> Prompt:
    """The prompt for one premise; what stands before the premise is the same for many."""
    return Prompt(template.replace("{premise}", premise), shared=template.index("{premise}"))
