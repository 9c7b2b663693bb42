"""A store of a million premises, made through the store's own functions: what the benchmarks of scale measure on.

Sentences come from a small grammar (6 to 25 words; invented place names give it a vocabulary of thousands). A sentence's
number decides its words, so the same store is made again anywhere, and all premises are distinct. Hypotheses are shorter,
as an LLM's are; a few have problems, copy their premise or could not be scored, and some premises repeat another with
other punctuation. Scores are spread as a small LLM's likelihood scores are, with the evidence such a score keeps.

The runs are those of `multicsr gen --premises FILE` and `multicsr score`, so that these very commands find them finished.
The store is built once, in the folder `MULTICSR_CACHE` names (else the temporary folder), with what building it measured in
a file beside it. A benchmark that writes works on a copy.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import multicsr.gen
import multicsr.score
from multicsr.job import Means
from stages import gen, score
from stages.files import sources
from stages.texts import prompts as prompt_sets
from stages.texts.prompts import PromptSet
from store import whole
from store.database import Store
from store.records import ROLES, DraftRow, Run, ScoreRow, canonical
from store.rows import drafts, premises, scores

MILLION, QUICK = 1_000_000, 20_000

# Part of the file's name: a change of what follows, or of the schema, builds the store anew.
EDITION = 3

# Premises in one transaction, as `gen` and `score` write them.
BATCH = 64

SUBJECTS = (
    "a dog", "two women", "the old farmer", "a young teacher", "some children", "the tall guard", "my neighbour",
    "a group of tourists", "the night nurse", "an elderly couple", "the new mayor", "a street musician", "three workers",
    "the ferry captain", "a retired judge", "the baker's son", "an angry customer", "several students", "a small boy",
    "the village doctor", "a tired runner", "the museum's owner", "both sisters", "a man in red", "the gardener",
)  # fmt: skip
VERBS = (
    "painted", "carried", "repaired", "sold", "found", "photographed", "described", "washed", "moved", "watched",
    "borrowed", "opened", "measured", "inspected", "hid", "cleaned", "lost", "drew", "lifted", "admired",
)  # fmt: skip
OBJECTS = (
    "a wooden gate", "the broken window", "an empty bottle", "the blue bicycle", "a heavy box", "two letters",
    "an old map", "a basket of apples", "some garden tools", "the iron bridge", "a pair of boots",
    "the town clock", "an unfinished portrait", "the school's piano", "a bag of flour", "the fishing nets", "a lantern",
    "a stack of newspapers", "the stone wall", "a silver watch", "the second engine", "an open umbrella", "a tent",
)  # fmt: skip
NEAR = ("in", "near", "outside", "on the way to", "at the market of", "behind the station of", "north of")
TIMES = (
    "", "yesterday", "on a cold morning", "before sunrise", "during the festival", "after the last train had left",
    "for almost an hour", "late in the evening", "while it rained", "every summer", "last week", "without any help",
)  # fmt: skip
ENDINGS = (
    "", "and nobody noticed", "as a crowd looked on", "because of the weather", "although the road was closed",
    "and then walked home", "to the surprise of everyone", "so the others could rest",
)  # fmt: skip
SYLLABLES = ("bar", "den", "hol", "lin", "mar", "nor", "pel", "quin", "ros", "sal", "tor", "ul", "ver", "wen", "yar")
NAMES = tuple(f"{one}{two}{three}".capitalize() for one in SYLLABLES for two in SYLLABLES for three in SYLLABLES)

PARTS = (SUBJECTS, VERBS, OBJECTS, NEAR, NAMES, TIMES, ENDINGS)

# Consecutive numbers should share few words. A prime that divides no number of choices, so that `number * STEP` modulo all
# sentences (some 26 billion), read in the mixed radix of the parts, meets no sentence twice.
STEP = 2_654_435_761

# Shares of premises; the problems as small LLMs were seen to have them.
COPIED, EMPTY, REFUSED, RUNAWAY, UNREADABLE = 0.01, 0.002, 0.004, 0.012, 0.003

# Each so-manieth premise says the same as the one before it.
REPEATS_EVERY = 200

REFUSAL = "I'm sorry, but I cannot help with that."


class Made(NamedTuple):
    """One premise with its hypotheses and scores. `problem` is the entailment's."""

    text: str
    entailment: str
    contradiction: str
    problem: str | None
    a: float | None
    b: float | None


@dataclass(frozen=True)
class Written:
    """What writing one table measured. `bytes`: the growth of the store, with indexes and full-text index."""

    rows: int
    seconds: float
    bytes: int


@dataclass(frozen=True)
class Million:
    """A built store, its premises file, its finished gen and score runs, and what building it measured."""

    path: Path
    premises: Path
    gen: Run
    score: Run
    written: dict[str, Written]


def cached(quick: bool) -> Million:
    """The store of a million premises (with `quick`, of a few thousand), built where there is none."""
    count = QUICK if quick else MILLION
    folder = Path(os.environ.get("MULTICSR_CACHE") or tempfile.gettempdir()) / "multicsr-benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"premises-{count}-edition-{EDITION}.db"
    text, measured = path.with_suffix(".txt"), path.with_suffix(".json")
    if not measured.exists():
        partial = path.with_suffix(".partial")
        remove(partial)
        found = build(partial, text, count)
        whole.place(partial, path)
        whole.write(measured, json.dumps({table: asdict(written) for table, written in found.items()}))
    found = {table: Written(**row) for table, row in json.loads(measured.read_text(encoding="utf-8")).items()}
    store = Store.open(path, write=False)
    million = Million(path, text, store.find("latest", ("gen",)), store.find("latest", ("score",)), found)
    store.close()
    return million


@contextmanager
def copy(million: Million) -> Iterator[Path]:
    """A copy to write to, gone afterwards."""
    path = million.path.with_suffix(f".copy-{os.getpid()}")
    try:
        copy_to(million, path)
        yield path
    finally:
        remove(path)


def copy_to(million: Million, path: Path) -> None:
    """Copy the store, down to the disk: else the first transaction on it would wait for a gigabyte that it did not write."""
    shutil.copyfile(million.path, path)
    with path.open("rb") as file:
        os.fsync(file.fileno())


def remove(path: Path) -> None:
    """Remove a store with all that lies beside it."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    shutil.rmtree(f"{path}.files", ignore_errors=True)


def build(path: Path, text: Path, count: int) -> dict[str, Written]:
    """Write `count` premises into the file `text`, and the store at `path` from it."""
    made = list(sentences(count))
    whole.write(text, "".join(f"{one.text}\n" for one in made))
    source = sources.source(text)
    store, means = Store.open(path), Means("cpu")
    wanted = multicsr.gen.job(store, source, means=means)
    found = {"premises": _import(store, source)}
    if premises.duplicates(store, source.name):
        raise AssertionError("the grammar repeats itself")
    numbered = [list(enumerate(made[start : start + BATCH], start=start + 1)) for start in range(0, count, BATCH)]

    run = store.begin("gen", gen.VERSION, wanted.settings, None, {"device": "cpu", "premises": str(text.absolute())})
    asked = prompt_sets.load(wanted.config["prompts"])
    drafts.keep_prompt_set(store, asked.digest, asked.name, asked.toml)
    batches = ([row for id, one in part for row in _drafts(id, one, asked)] for part in numbered)
    found["drafts"] = _write(store, run, drafts.add, batches)
    store.finish(run, drafts.counts(store, run))

    wanted = multicsr.score.job(store, store.run(run.id), means=means)
    run = store.begin("score", score.VERSION, wanted.settings, run.id, {"device": "cpu"})
    scored = ([row for id, one in part for row in _scores(id, one)] for part in numbered)
    found["scores"] = _write(store, run, scores.add, scored)
    store.finish(run, scores.counts(store, run))
    store.close()  # the last connection puts the write-ahead log into the file
    return found


def sentences(count: int) -> Iterator[Made]:
    """The premises with all that is made from them, the same in every process."""
    chance = random.Random(0)
    for number in range(count):
        repeats = number % REPEATS_EVERY == REPEATS_EVERY - 1
        subject, verb, thing, near, name, when, ending = _parts(number - 1 if repeats else number)
        parts = (subject, verb, thing, near, name, when, ending)
        text = _sentence(*parts, end="!" if repeats else ".")
        entailment = _sentence(subject, verb, thing, *(("near", name) if chance.random() < 0.5 else ()))
        contradiction = _sentence("nobody", verb, thing, when)
        if chance.random() < COPIED:
            entailment = text.removesuffix(".")
        problem, drawn = None, chance.random()
        if drawn < EMPTY:
            problem, entailment = "empty", ""
        elif drawn < EMPTY + REFUSED:
            problem, entailment = "refusal", REFUSAL
        elif drawn < EMPTY + REFUSED + RUNAWAY:
            problem = "runaway"
        yield Made(text, entailment, contradiction, problem, _score(chance, 2.6), _score(chance, 1.4))


def _parts(number: int) -> list[str]:
    """The words of sentence `number`."""
    rest, found = number * STEP, []
    for choices in PARTS:
        rest, place = divmod(rest, len(choices))
        found.append(choices[place])
    return found


def _sentence(*parts: str, end: str = ".") -> str:
    text = " ".join(filter(None, parts))
    return f"{text[0].upper()}{text[1:]}{end}"


def _score(chance: random.Random, mean: float) -> float | None:
    """A score in [0, 5], now and then none."""
    if chance.random() < UNREADABLE:
        return None
    return round(min(max(chance.gauss(mean, 1.0), 0.0), 5.0), 3)


def _drafts(premise: int, one: Made, prompts: PromptSet) -> list[DraftRow]:
    """What `gen` stores for one premise; a hypothesis with a problem keeps its raw text."""
    sides = zip(ROLES, (one.entailment, one.contradiction), (one.problem, None), strict=True)
    return [
        DraftRow(
            premise, role, text, text if problem else None, problem,
            prompts.template(role).draw(0, role, one.text), len(text.split()) + 2,
        )
        for role, text, problem in sides
    ]  # fmt: skip


def _scores(premise: int, one: Made) -> list[ScoreRow]:
    """What `score` by likelihood in both directions stores for one premise: two scores with their log-probabilities."""
    found = []
    for role, text, value in zip(ROLES, (one.entailment, one.contradiction), (one.a, one.b), strict=True):
        alone, x_alone, share = -5.25 * len(text.split()), -4.75 * len(one.text.split()), 1 - (value or 0.0) / 5
        log_p = {"log p(y|x)": alone * share, "log p(y)": alone, "log p(x|y)": x_alone * share, "log p(x)": x_alone}
        found.append(ScoreRow(premise, role, value, canonical(log_p) if value is not None else ""))
    return found


def _import(store: Store, source: sources.Source) -> Written:
    """Import the premises as `gen` does."""
    before, started = _bytes(store), time.perf_counter()
    for _ in premises.add(store, source.name, str(source.path), source.digest, source.rows, source.texts()):
        pass
    return Written(source.rows, time.perf_counter() - started, _bytes(store) - before)


def _write(
    store: Store, run: Run, add: Callable[[Store, Run, list[Any]], None], batches: Iterable[list[Any]]
) -> Written:
    """Add the batches, each a transaction; making their rows does not count."""
    before, rows, seconds = _bytes(store), 0, 0.0
    for batch in batches:
        started = time.perf_counter()
        add(store, run, batch)
        seconds += time.perf_counter() - started
        rows += len(batch)
    return Written(rows, seconds, _bytes(store) - before)


def _bytes(store: Store) -> int:
    """Size of the store, with what is still in the write-ahead log."""
    (pages,), (size,) = store.one("PRAGMA page_count"), store.one("PRAGMA page_size")
    return int(pages * size)
