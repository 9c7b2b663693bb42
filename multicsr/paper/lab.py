"""Makes the nodes of a plan over the ordinary stages. Arrow: node -> run.

A run that is complete in the store is not made again, so an experiment that was killed goes on where it stood. Trainings
that would repeat another step by step are that training: the same triplets under the same settings, and a mask that
masked nothing there is no mask at all, nor is any stricter one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from multicsr import curate, evaluate, judge, train
from multicsr.job import Means
from multicsr.names import notes_of, read_source, resolve
from multicsr.paper.matching import MASK, copies_name, matches, repeats
from multicsr.paper.material import BUNDLED_RETRIEVAL, fetched, write_retrieval
from multicsr.paper.outcome import comma_separated
from multicsr.paper.plan import Node, in_order, node
from multicsr_cli import screen
from multicsr_cli.commands import gen, imports, score
from store import whole
from store.records import Run

if TYPE_CHECKING:
    from multicsr.paper.scales import Scale
    from stages.files.sources import Source
    from store.database import Store

# Fewer triplets make no batch with a negative of another premise.
LEAST_TRIPLETS = 2

# Of a premise in SNLI's dev set: an entailment, a contradiction, and one that is neither.
LABELLED_PAIRS = 3
SNLI, SNLI_PART = "snli-dev.csv", "snli.csv"


class Language(NamedTuple):
    """A file of sentences in it to learn from, and the name of a test on others."""

    sentences: str
    task: str


class Lab:
    """A store, a scale, and where and how to compute. `made` are the runs that were made or found, by their nodes."""

    def __init__(
        self,
        store: Store,
        scale: Scale,
        *,
        seeds: int,
        data: Path | None = None,
        device: str = "auto",
        dtype: str = "auto",
        batch: int | None = None,
    ) -> None:
        self.store, self.scale, self.seeds, self.data = store, scale, range(seeds), data
        self.device, self.dtype, self.batch = device, dtype, batch
        self.made: dict[Node, Run] = {}
        self.tasks: dict[str, Any] = {}
        self.written: set[str] = set()  # tasks whose files lie in `folder`
        self.sources: dict[str, Source] = {}
        self.trained: list[tuple[str, Node, Run]] = []
        self.number = self.total = 0

    @property
    def folder(self) -> Path:
        """Where the files of the experiments lie."""
        folder = self.store.files / "reports"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def has(self, name: str) -> bool:
        """Whether the task called `name` ("stsb", "stsb dev") is to be measured and can be read; read once, before hours
        are spent."""
        from stages.tasks import registry
        from stages.tasks.files import Absent

        if name not in self.tasks:
            task, _, split = name.partition(" ")
            self.tasks[name] = None
            at_hand = self.data is not None or task in registry.BUNDLED
            if at_hand and task not in self.scale.left_out:
                with suppress(Absent):
                    self.tasks[name] = registry.load(task, self.data, split or "test")
        return self.tasks[name] is not None

    @cached_property
    def usual(self) -> tuple[str, ...]:
        """The tasks of every experiment, as far as they are at hand."""
        return tuple(name for name in self.scale.tasks if self.has(name))

    def there(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of `names` that are at hand."""
        return tuple(name for name in names if self.has(name))

    def evals(self, model: Node | str, tasks: Sequence[str], **settings: Any) -> list[Node]:
        """The evaluations that measure `model` on `tasks`: the usual ones in one run, so that all experiments share it."""
        from stages.tasks import transfer

        parts: dict[tuple[bool, ...], list[str]] = {}
        for name in tasks:
            parts.setdefault((name in self.usual, name in transfer.NAMES, name.endswith(" dev")), []).append(name)
        told = {"model": model} if isinstance(model, str) else {}
        parent = None if isinstance(model, str) else model
        return [node("eval", parent, tasks=tuple(part), **told, **settings) for part in parts.values()]

    def lacks(self, file: str, what: str) -> str:
        """Says what is missing and where it is looked for."""
        where = "the folder given holds none" if self.data else "no --data is given"
        return f"needs {what}, and {where}; --data DIR with {file} would do"

    def nli_premises(self) -> str | None:
        """Premises of an NLI corpus: the scale's own where it names others, else SNLI's."""
        return self.scale.premises if self.scale.other_premises else self._in_data("snli/s1.dev")

    def other_premises(self) -> str:
        """Sentences of elsewhere."""
        return self.scale.other_premises or self.scale.premises

    def translations(self) -> tuple[Path, Path] | None:
        """The first pair of aligned files of translations, the language with little data first."""
        from stages.tasks import bitext

        name = next(iter(bitext.names_in(self.data)), None) if self.data else None
        if name is None or self.data is None:
            return None
        task = bitext.load(name, self.data)
        folder = self.data if (self.data / f"{name}.{task.sides[0]}").exists() else self.data / "tatoeba"
        return folder / f"{name}.{task.sides[0]}", folder / f"{name}.{task.sides[1]}"

    @cached_property
    def language(self) -> Language:
        """The translations, in two halves: sentences to learn from, and a test of the others."""
        from stages.tasks import bitext

        files = self.translations()
        assert files is not None
        sides = [file.read_text(encoding="utf-8").splitlines() for file in files]
        half = len(sides[0]) // 2
        sentences = self.folder / f"t5-{files[0].name}.txt"
        whole.write(sentences, "".join(f"{line}\n" for line in sides[0][:half]))
        tested = [self.folder / f"t5-{file.name}" for file in files]
        for path, lines in zip(tested, sides, strict=True):
            whole.write(path, "".join(f"{line}\n" for line in lines[half:]))
        task = bitext.pair(tested[0], tested[1])
        self._add(task)
        return Language(str(sentences), task.name)

    @cached_property
    def retrieval(self) -> tuple[str, ...]:
        """The retrieval tasks that the data folder holds; where it holds none, one made of the bundled pairs."""
        from stages.tasks import retrieval

        found = tuple(retrieval.names_in(self.data)) if self.data else ()
        if found:
            return found
        write_retrieval(self.folder / BUNDLED_RETRIEVAL)
        self._add(retrieval.load(BUNDLED_RETRIEVAL, self.folder))
        return (BUNDLED_RETRIEVAL,)

    def _add(self, task: Any) -> None:
        """Let a task whose files were written here be measured like any other."""
        self.tasks[task.name] = task
        self.written.add(task.name)

    def labelled(self) -> Node | None:
        """A labelled NLI corpus as it is, where there is one."""
        if self.scale.labelled is None and not all(self._snli()):
            return None
        return node("labelled", file=Path(self.scale.labelled or SNLI_PART).name)

    @cached_property
    def labelled_file(self) -> Path:
        """A file of labelled triplets, or of labelled pairs as SNLI has them: of as many premises as the scale has."""
        return self._labelled_as(SNLI_PART, LABELLED_PAIRS * (self.scale.limit or 1))

    @cached_property
    def demonstrated_file(self) -> Path:
        """The labelled corpus whose nearest triplets are shown: all of it."""
        return self._labelled_as(SNLI)

    def _labelled_as(self, name: str, pairs: int | None = None) -> Path:
        if self.scale.labelled is not None:
            return Path(fetched(self.scale.labelled.removeprefix("hub:")))
        lines = [Path(part).read_text(encoding="utf-8").splitlines() for part in self._snli() if part]
        rows = list(zip(*lines, strict=True))[:pairs]
        path = self.folder / name
        whole.write(path, comma_separated(("sentence1", "sentence2", "gold_label"), rows))
        return path

    def _snli(self) -> list[str | None]:
        return [self._in_data(f"snli/{name}.dev") for name in ("s1", "s2", "labels")]

    def _in_data(self, file: str) -> str | None:
        return str(self.data / file) if self.data and (self.data / file).is_file() else None

    def make(self, wanted: Node) -> Run:
        """The run of a node, complete."""
        for one in in_order([wanted]):
            if one not in self.made:
                self.number += 1
                self.made[one] = self._twin(one) or self._make(one, f"[{self.number}/{self.total}] {one.shown}")
                if one.stage == "train":
                    self.trained.append((self._content(one), one, self.made[one]))
        return self.made[wanted]

    def can_train(self, wanted: Node) -> bool:
        """Whether the triplets of a training are enough for one; what it is made from is made."""
        assert wanted.parent is not None
        counts = self.make(wanted.parent).counts
        return int(counts.get("kept", counts.get("premises", 0))) >= LEAST_TRIPLETS

    def _make(self, wanted: Node, title: str) -> Run:
        from stages.files.corpora import corpus

        told, parent = dict(wanted.settings), self.made[wanted.parent] if wanted.parent else None
        where: dict[str, Any] = {"device": self.device, "dtype": self.dtype}
        if wanted.stage == "gen":
            source = self.source(told.pop("premises"))
            if told.get("demonstrations"):
                told |= {"demonstrations": self.demonstrated_file, "mask_model": self.scale.backbone.mask_model}
            plan = gen.plan(source, seed=0, **{"limit": None, "prompts": None, **told}, **where)
            return gen.make(self.store, source, plan, self.batch, title)[0]
        if wanted.stage == "judge":
            return self._judge(told, where)
        if wanted.stage == "eval":
            return self._eval(wanted, told, title)
        if wanted.stage == "labelled":
            file = self.labelled_file
            return imports.make(self.store, corpus(file), notes_of(file=file))[0]
        assert parent is not None
        if wanted.stage == "copies":
            file = self._copies(parent, **told)
            return imports.make(self.store, corpus(file), notes_of(file=file))[0]
        if wanted.stage == "score":
            reading = score.plan(self.store, parent, llm=None, **told, **where)
            return score.make(self.store, parent, reading, self.batch, title)[0]
        if wanted.stage == "curate":
            return screen.drive(curate.job(self.store, parent, **told), title).run
        joined = [self.made[told.pop("joined")]] if "joined" in told else []
        means = train.Means(self.device, self.dtype, self.data)
        return train.make(self.store, parent, train.Settings(**told), means, joined, title)[0]

    def _eval(self, wanted: Node, told: dict[str, Any], title: str) -> Run:
        tasks = [self.tasks[name] for name in told["tasks"] if self.has(name)]
        split = "dev" if told["tasks"][0].endswith(" dev") else "test"
        model = self.made[wanted.parent].id if wanted.parent else told["model"]
        sentences = self.source(told["whiten"]) if "whiten" in told else None
        notes = notes_of(data=self.folder if self.written & set(told["tasks"]) else self.data)
        means, read = Means(self.device, self.batch), {"whiten": sentences, "pooler": told.get("pooler")}
        job = evaluate.job(self.store, model, tasks, split=split, means=means, notes=notes, **read)
        return screen.drive(job, title).run

    def _judge(self, told: dict[str, Any], where: dict[str, Any]) -> Run:
        tasks = [self.tasks[name] for name in told["tasks"] if self.has(name)]
        asked = {"by": told["by"], "shots": told.get("shots"), "dtype": where["dtype"]}
        means, notes = Means(self.device, self.batch), notes_of(data=self.data)
        return screen.drive(judge.job(self.store, told["model"], tasks, means=means, notes=notes, **asked)).run

    def _copies(self, parent: Run, copies: int, alone: bool = False) -> Path:
        """A file of the triplets of `parent` with the first one `copies` times more, or nothing but it."""
        from store.rows import training

        triplets = [tuple(triplet) for triplet in training.triplets(self.store, parent)]
        rows = [*([] if alone else triplets), *triplets[:1] * copies]
        path = self.folder / copies_name(parent, copies, alone)
        whole.write(path, comma_separated(("premise", "entailment", "contradiction"), rows))
        return path

    def encode(self, model: str, texts: Sequence[str]) -> np.ndarray:
        """The unit vectors (len(texts), d) that an encoder gives, kept in the store."""
        from stages.models import catalog
        from stages.pace.batches import Batches
        from stages.pace.vectors import Vectors

        found = catalog.locate(model, "encoder")

        def load() -> Any:
            from stages.models import loading

            return loading.encoder(found, where)

        where, _ = resolve(self.device, "float32")
        rows = Vectors(self.store, found.fingerprint, load, Batches(self.batch, "texts", where)).encode(texts)
        unit: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return unit

    def source(self, premises: str) -> Source:
        """The premises called so: bundled, a file, `FILE#COLUMN`, or a column of a file on the hub."""
        if premises not in self.sources:
            path, _, column = premises.partition("#")
            place = fetched(path.removeprefix("hub:")) if path.startswith("hub:") else path
            self.sources[premises] = read_source(place, column or None)
        return self.sources[premises]

    def _twin(self, wanted: Node) -> Run | None:
        """A training that `wanted` would repeat step by step."""
        if wanted.stage != "train" or wanted.parent not in self.made:
            return None
        content = self._content(wanted)
        for other_content, other, run in self.trained:
            if other_content == content and repeats(wanted, other, run):
                return run
        return None

    def _content(self, wanted: Node) -> str:
        """Names the triplets of a training."""
        assert wanted.parent is not None
        return self._texts(self.made[wanted.parent])

    def _texts(self, parent: Run) -> str:
        from store.rows import training

        digest = blake2b(digest_size=8)
        for triplet in training.triplets(self.store, parent):
            digest.update(repr(tuple(triplet)).encode())
        return digest.hexdigest()

    def find(self, wanted: Node) -> Run | None:
        """The complete run of a node as far as its settings tell, without a model or its files: what --dry-run shows."""
        if wanted in self.made:
            return self.made[wanted]
        parent = None
        if wanted.parent is not None:
            parent = self.find(wanted.parent)
            if parent is None:
                return None
        exact = next((run for run in self._complete if matches(run, wanted, parent)), None)
        return exact if exact or wanted.stage != "train" else self._shared(wanted, parent)

    def _shared(self, wanted: Node, parent: Run | None) -> Run | None:
        """A complete training that stands for `wanted`, as `_twin` finds it while they are made."""
        assert parent is not None
        unmasked = Node("train", tuple(one for one in wanted.settings if one[0] not in MASK))
        for run in self._complete:
            if run.stage == "train" and run.parent and matches(run, unmasked, None):
                told = node("train", mask_model=run.config.get("mask_model"), sigma=run.config.get("sigma"))
                told = Node("train", (*unmasked.settings, *told.settings))
                if repeats(wanted, told, run) and self._texts(self.store.run(run.parent)) == self._texts(parent):
                    return run
        return None

    @cached_property
    def _complete(self) -> list[Run]:
        from store.read.runs import listed

        return [row.run for row in listed(self.store) if row.run.finished]
