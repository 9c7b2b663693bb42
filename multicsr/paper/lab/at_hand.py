"""The tasks that can be measured. Arrow: names -> loaded tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from multicsr.means.names import notes_of
from multicsr.paper.lab.material import BUNDLED_RETRIEVAL

if TYPE_CHECKING:
    from multicsr.paper.lab.material import Material

DEV = " dev"  # behind the name of a task: its dev split
STSB_DEV, BUNDLED = f"stsb{DEV}", "mini"


class TasksAtHand:
    """Those that are bundled, that the data folder holds, and that are made of its files or of the bundled pairs."""

    def __init__(self, material: Material) -> None:
        self.material = material
        self._loaded: dict[str, Any] = {}
        self._written: set[str] = set()  # whose files lie in the folder of the experiments

    def __getitem__(self, name: str) -> Any:
        """The task called `name` ("stsb", "stsb dev"), loaded. Raises KeyError for one that is not at hand."""
        if not self.has(name):
            raise KeyError(name)
        return self._loaded[name]

    def has(self, name: str) -> bool:
        """Whether a task is to be measured and can be read; it is read once, before hours are spent."""
        from stages.tasks import registry
        from stages.tasks.files import Absent

        if name not in self._loaded:
            task, _, split = name.partition(" ")
            self._loaded[name] = None
            is_there = self.material.data is not None or task in registry.BUNDLED
            if is_there and task not in self.material.scale.left_out:
                with suppress(Absent):
                    self._loaded[name] = registry.load(task, self.material.data, split or "test")
        return self._loaded[name] is not None

    @cached_property
    def usual(self) -> tuple[str, ...]:
        """The tasks of every experiment, as far as they are at hand."""
        return self.among(self.material.scale.tasks)

    @cached_property
    def dev_table(self) -> tuple[str, ...]:
        """What the paper's tables on STS-B dev are measured on: on that, or where it is not at hand on the bundled pairs."""
        return self.among((STSB_DEV,)) or (BUNDLED,)

    def among(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of `names` that are at hand."""
        return tuple(name for name in names if self.has(name))

    def together(self, names: Sequence[str]) -> list[tuple[str, ...]]:
        """`names` in groups that are measured by one run each: the usual tasks in one, so that all experiments share it."""
        from stages.tasks import transfer

        groups: dict[tuple[bool, ...], list[str]] = {}
        for name in names:
            groups.setdefault((name in self.usual, name in transfer.NAMES, name.endswith(DEV)), []).append(name)
        return [tuple(group) for group in groups.values()]

    def notes(self, names: Iterable[str]) -> dict[str, str]:
        """Where the files of tasks lie, for the command that makes the run."""
        return notes_of(data=self.material.folder if self._written & set(names) else self.material.data)

    @cached_property
    def translations(self) -> str:
        """The test on translations that are not among the sentences learned from."""
        from stages.tasks import bitext

        learned = self.material.learned
        assert learned is not None
        return self._add(bitext.pair(*learned.tested), written=learned.halved)

    @cached_property
    def retrieval(self) -> tuple[str, ...]:
        """The retrieval tasks that the data folder holds; where it holds none, one made of the bundled pairs."""
        from stages.tasks import retrieval

        data = self.material.data
        if data is not None and (there := tuple(retrieval.names_in(data))):
            return there
        return (self._add(retrieval.load(BUNDLED_RETRIEVAL, self.material.retrieval().parent)),)

    def _add(self, task: Any, written: bool = True) -> str:
        """Let a task be measured like any other; its files were `written` here, or lie in the data folder."""
        self._loaded[task.name] = task
        if written:
            self._written.add(task.name)
        return str(task.name)
