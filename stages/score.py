"""Stage 2, the scores. Arrow: hypotheses -> scores.

The LLM that wrote the hypotheses says how similar each is to its premise, in [0, 5]; there are two readings.

`prompt` (MultiCSR, eq. 3): ask for a number and read the reply. A reply without a number in range is stored with no value.

`likelihood`, for LLMs too small to answer with a number: the share of the hypothesis' information that the premise
explains, score(x -> y) = 5 * clip(1 - log p(y | x, "same meaning") / log p(y | no premise), 0, 1); in both directions
it is the mean of score(x -> y) and score(y -> x). Its `reply` holds the log-probabilities it was made from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from stages import text
from stages.batches import Batches
from stages.config import ScoreConfig
from stages.models.request import Line, Prompt, Reader
from stages.prompts import PromptSet
from stages.stage import COMPLETE, Notes, Tick, Ticks
from store import drafts, scores
from store.database import Store
from store.records import ROLES, Problem, Run, ScoreRow, canonical
from store.scores import Unscored

VERSION = 1

SCALE = 5.0  # the top of the similarity scale (SemEval's 0 to 5)
WINDOW = 4096  # how many missing premises are read at once and sorted by length
REPLY_TOKENS = 12  # room for "The similarity is 3.5 out of 5."


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
        raise Problem(f"gen run {parent.id} is not finished", "run the same `multicsr gen` again; it goes on")
    run = store.begin("score", VERSION, config, parent=parent.id, environment={"device": device, **(notes or {})})
    total = parent.counts["premises"]
    if run.finished:
        yield Tick(total, total, COMPLETE)
        return
    drafts.keep_prompt_set(store, prompts.digest, prompts.name, prompts.toml)
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
            window.sort(key=lambda row: -len(row.text) - max(len(row.entailment), len(row.contradiction)))
            for part, rows in batches.over(window, measure, work):
                scores.add(store, run, rows)
                done, fresh = done + len(part), fresh + len(part)
                yield Tick(done, total, "scoring", fresh, batches.warning())
        store.finish(run, scores.counts(store, run))


def fits(row: Unscored, config: ScoreConfig, prompts: PromptSet, reader: Reader) -> int:
    """How many premises with hypotheses as long as these can be scored at once."""
    if config.by == "likelihood":
        return reader.fits([], [], 0)  # it cuts what it reads into passes of its own
    asked = questions([(row.text, row.entailment), (row.text, row.contradiction)], prompts, reader)
    return reader.fits(asked, plain_lines(asked), 0 if config.expected else REPLY_TOKENS)


def score(part: Sequence[Unscored], config: ScoreConfig, prompts: PromptSet, reader: Reader) -> list[ScoreRow]:
    """Premises with their hypotheses in, scores out: the pure middle of the stage."""
    pairs = [(row.text, hypothesis) for row in part for hypothesis in (row.entailment, row.contradiction)]
    usable = [place for place, (_, hypothesis) in enumerate(pairs) if hypothesis]
    found: dict[int, tuple[float | None, str]] = {}
    if usable:
        if config.by == "likelihood":
            answers = by_likelihood([pairs[place] for place in usable], config.directions == "both", prompts, reader)
        else:
            answers = by_prompt([pairs[place] for place in usable], config.expected, prompts, reader)
        found = dict(zip(usable, answers, strict=True))
    return [
        ScoreRow(part[place // 2].premise, ROLES[place % 2], *found.get(place, (None, "")))
        for place in range(len(pairs))
    ]


def by_likelihood(
    pairs: Sequence[tuple[str, str]], both: bool, prompts: PromptSet, reader: Reader
) -> list[tuple[float | None, str]]:
    """(score, the log-probabilities as JSON) of each (premise, hypothesis)."""
    wanted: dict[tuple[str | None, str], None] = {}  # (given or None, sentence), each computed once
    for x, y in pairs:
        for given, sentence in ((x, y), (y, x))[: 2 if both else 1]:
            wanted[(given, sentence)] = wanted[(None, sentence)] = None
    alone = Prompt(prompts.alone, len(prompts.alone))
    shared = prompts.given.index("{premise}")
    asked = [
        (alone if given is None else Prompt(prompts.given.replace("{premise}", given), shared), f" {sentence}")
        for given, sentence in wanted
    ]
    log_p = dict(zip(wanted, reader.log_likelihoods(asked), strict=True))

    answers: list[tuple[float | None, str]] = []
    for x, y in pairs:
        values, evidence = [], dict[str, float]()
        for name, given, sentence in (("y", x, y), ("x", y, x))[: 2 if both else 1]:
            explained, unexplained = log_p[(given, sentence)], log_p[(None, sentence)]
            values.append(explained_share(explained, unexplained))
            other = "x" if name == "y" else "y"
            evidence |= {f"log p({name}|{other})": explained, f"log p({name})": unexplained}
        answers.append((round(SCALE * sum(values) / len(values), 3), canonical(evidence)))
    return answers


def explained_share(explained: float, unexplained: float) -> float:
    """1 - log p(y | x) / log p(y), clipped to [0, 1]: 1 if x makes y certain, 0 if x says nothing about y."""
    if unexplained == 0.0:
        return 0.0  # a sentence that is certain anyway holds no information to explain
    return min(max(1.0 - explained / unexplained, 0.0), 1.0)


def by_prompt(
    pairs: Sequence[tuple[str, str]], expected: bool, prompts: PromptSet, reader: Reader
) -> list[tuple[float | None, str]]:
    """(score or None, the reply) of each (premise, hypothesis). With `expected`, the mean over the digits 0 to 5."""
    asked = questions(pairs, prompts, reader)
    if expected:
        values = reader.expectations(asked, [str(number) for number in range(int(SCALE) + 1)])
        if values is None:
            raise Problem(
                f"--expected needs an LLM whose numbers 0 to {SCALE:.0f} are single tokens, and this one's are not",
                "score without --expected",
            )
        return [(value, canonical({"expected": value})) for value in values]
    replies = reader.write(asked, plain_lines(asked), REPLY_TOKENS, ends=lambda written: "\n" in written.lstrip())
    return [(text.first_number(draft.text, 0.0, SCALE), draft.text) for draft in replies]


def questions(pairs: Sequence[tuple[str, str]], prompts: PromptSet, reader: Reader) -> list[Prompt]:
    """How similar are they? One prompt a (premise, hypothesis)."""
    template = reader.wrap(prompts.question) if prompts.chat else prompts.question
    shared = min(template.index("{premise}"), template.index("{hypothesis}"))
    return [
        # Both holes at once: a premise that contains "{hypothesis}" is a text like any other.
        Prompt(y.join(x.join(part.split("{premise}")) for part in template.split("{hypothesis}")), shared)
        for x, y in pairs
    ]


def plain_lines(asked: Sequence[Prompt]) -> list[Line]:
    """An answer to each prompt, without contrast."""
    return [Line(own=place, noise=None, omega=0.0, key="") for place in range(len(asked))]
