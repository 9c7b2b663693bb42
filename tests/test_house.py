"""Who may import whom, and where SQL is written: read from the source with `ast`, so that it holds also for tomorrow.

Each law is a function from a module's name and source to what offends it; each is shown an offender first.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("multicsr", "multicsr_cli", "stages", "store")
LEAVES = ("store.markdown", "store.problem", "store.whole")  # what every storey may import
READER = "stages.files.tables"  # what tasks may import of the stages: a leaf that knows the store's
SCREEN = {"typer", "rich", "textual", "click"}
HEAVY = {"torch", "transformers", "safetensors", "accelerate", "tokenizers", "gguf"}
SQL = re.compile(
    r"^\s*(SELECT\b.+\bFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|VIEW|INDEX)"
    r"|PRAGMA\s|WITH\s+\w+\s+AS)",
    re.IGNORECASE | re.DOTALL,
)


def imports(name: str, source: str) -> Iterator[tuple[str, int, bool]]:
    """(module, line, whether it stands under TYPE_CHECKING) of every import, at whatever depth, relative ones resolved."""
    tree = ast.parse(source)
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*name.split(".")[: -node.level], *([base] if base else [])])
            found = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from ((module, node.lineno, id(node) in typing_only) for module in found)


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def top(module: str) -> str:
    return module.split(".")[0]


def screen_law(name: str, source: str) -> list[str]:
    """Only the command line knows typer, rich and textual; click, which typer vendors, nobody."""
    return [
        f"{name}:{line} imports {module}"
        for module, line, _ in imports(name, source)
        if top(module) in SCREEN and not (within(name, "multicsr_cli") and top(module) != "click")
    ]


def heavy_law(name: str, source: str) -> list[str]:
    """Torch and the model libraries live in stages/models, and a training there; nobody else names them."""
    return [
        f"{name}:{line} imports {module}"
        for module, line, typing_only in imports(name, source)
        if top(module) in HEAVY and not within(name, "stages.models") and not typing_only
    ]


def ray_law(name: str, source: str) -> list[str]:
    """Only the engine that is built on it knows Ray."""
    return [
        f"{name}:{line} imports {module}"
        for module, line, _ in imports(name, source)
        if top(module) == "ray" and name != "stages.pace.ray_workers"
    ]


def models_law(name: str, source: str) -> list[str]:
    """Models know neither the store nor the stages; of the store the leaves only."""
    if not within(name, "stages.models"):
        return []
    return [
        f"{name}:{line} imports {module}"
        for module, line, _ in imports(name, source)
        if (within(module, "store", "multicsr", "multicsr_cli") and not within(module, *LEAVES))
        or (within(module, "stages") and not within(module, "stages.models"))
    ]


def tasks_law(name: str, source: str) -> list[str]:
    """Tasks know numpy, scipy, faiss, the leaves, the reader of files and one another: of a model, only `encode`."""
    allowed = {"numpy", "scipy", "faiss"} | sys.stdlib_module_names
    if not within(name, "stages.tasks"):
        return []
    return [
        f"{name}:{line} imports {module}"
        for module, line, _ in imports(name, source)
        if top(module) not in allowed and not within(module, "stages.tasks", READER, *LEAVES)
    ]


def leaves_law(name: str, source: str) -> list[str]:
    """A leaf knows the standard library and other leaves, so that whoever imports it imports nothing else; the reader of
    files also what reads Parquet."""
    if name not in (*LEAVES, READER):
        return []
    allowed = {"pyarrow"} | sys.stdlib_module_names if name == READER else sys.stdlib_module_names
    return [
        f"{name}:{line} imports {module}"
        for module, line, _ in imports(name, source)
        if top(module) not in allowed and not within(module, *LEAVES)
    ]


def store_law(name: str, source: str) -> list[str]:
    """The store knows itself, sqlite-utils and filelock."""
    allowed = {"sqlite_utils", "filelock", "store"} | sys.stdlib_module_names
    if not within(name, "store"):
        return []
    return [
        f"{name}:{line} imports {module}" for module, line, _ in imports(name, source) if top(module) not in allowed
    ]


def arrows_law(name: str, source: str) -> list[str]:
    """The command line stands above the Python API, which does not know it, and both stand above the stages."""
    above = [] if within(name, "multicsr_cli") or name == "multicsr.__main__" else ["multicsr_cli"]
    above += [] if within(name, "multicsr", "multicsr_cli") else ["multicsr"]
    return [f"{name}:{line} imports {module}" for module, line, _ in imports(name, source) if within(module, *above)]


def commands_law(name: str, source: str) -> list[str]:
    """A command is a face: it knows no other command, and nobody but the app knows it."""
    if name == "multicsr_cli.main":
        return []
    return [
        f"{name}:{line} imports {module}"
        for module, line, _ in imports(name, source)
        if within(module, "multicsr_cli.commands") and not within(module, name)
    ]


def stages_law(name: str, source: str) -> list[str]:
    """No stage calls another: the only link is the parent run."""
    stages = {f"stages.{stage}" for stage in ("gen", "score", "curate", "train", "evaluate", "judge")}
    if name not in stages:
        return []
    return [
        f"{name}:{line} imports {module}"
        for module, line, _ in imports(name, source)
        if within(module, *(stages - {name}))
    ]


def sql_law(name: str, source: str) -> list[str]:
    """SQL is written in the store only; prose, in docstrings, may select what it likes."""
    if within(name, "store"):
        return []
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        f"{name}:{node.lineno} writes SQL: {node.value.strip()[:40]}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in prose
        and SQL.search(node.value)
    ]


Law = Callable[[str, str], list[str]]
OFFENDERS: list[tuple[Law, str, str]] = [
    (screen_law, "stages.gen", "from rich.console import Console"),
    (screen_law, "store.read.triplets", "def f():\n    import typer"),
    (screen_law, "multicsr_cli.main", "from click import UsageError"),
    (heavy_law, "stages.gen", "import torch"),
    (heavy_law, "store.rows.vectors", "def f():\n    from torch import Tensor"),
    (heavy_law, "multicsr_cli.commands.gen", "import transformers.utils"),
    (ray_law, "stages.gen", "def f():\n    import ray"),
    (ray_law, "multicsr.means.workplace", "from ray.exceptions import RayError"),
    (models_law, "stages.models.training.fit", "from store.database import Store"),
    (models_law, "stages.models.training.fit", "from stages import text"),
    (models_law, "stages.models.training.fit", "from ...config import TrainConfig"),
    (tasks_law, "stages.tasks.sts", "from stages.config import EvalConfig"),
    (tasks_law, "stages.tasks.sts", "from store.records import Problem"),
    (tasks_law, "stages.tasks.sts", "import sklearn.linear_model"),
    (leaves_law, "store.whole", "from store.database import Store"),
    (leaves_law, "store.problem", "import pyarrow"),
    (leaves_law, "stages.files.tables", "from stages.files import sources"),
    (store_law, "store.rows.drafts", "import numpy as np"),
    (store_law, "store.rows.drafts", "from stages.stage import Tick"),
    (arrows_law, "stages.gen", "from multicsr_cli import screen"),
    (arrows_law, "store.read.triplets", "import multicsr_cli.runs"),
    (arrows_law, "multicsr.gen", "def f():\n    from multicsr_cli import screen"),
    (arrows_law, "stages.gen", "from multicsr.job import Job"),
    (commands_law, "multicsr_cli.commands.gen", "from multicsr_cli.commands import score"),
    (commands_law, "multicsr_cli.browse.app", "from multicsr_cli.commands.gen import command"),
    (stages_law, "stages.score", "from stages import gen"),
    (stages_law, "stages.judge", "from stages.score import score"),
    (stages_law, "stages.train", "def f():\n    from stages.curate import sweep"),
    (sql_law, "stages.gen", 'x = "SELECT text FROM drafts WHERE run = ?"'),
    (sql_law, "multicsr_cli.commands.runs", 'x = f"""\n  update runs set finished = {now}"""'),
    (sql_law, "stages.train", 'x = "INSERT OR REPLACE INTO steps VALUES (1)"'),
    (sql_law, "stages.train", 'x = "DELETE FROM steps"'),
]
LAWS: list[Law] = list(dict.fromkeys(law for law, _, _ in OFFENDERS))


@pytest.mark.parametrize(("law", "name", "source"), OFFENDERS)
def test_a_law_sees_its_offender(law: Law, name: str, source: str) -> None:
    assert len(law(name, source)) == 1


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_every_module_keeps_the_law(law: Law) -> None:
    """DESIGN: who may import whom."""
    offences = [offence for name, source in modules() for offence in law(name, source)]
    assert offences == []


def modules(rooms: tuple[str, ...] = ROOMS) -> Iterator[tuple[str, str]]:
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name, path.read_text(encoding="utf-8")


def edges(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """The modules of `sources` that each of them imports, at whatever depth, under TYPE_CHECKING too."""

    def home(name: str) -> str | None:
        """The module that holds what is imported as `name`."""
        shorter = name.rpartition(".")[0]
        return next(
            (module for module in (name, f"{name}.__init__", shorter, f"{shorter}.__init__") if module in sources), None
        )

    return {
        name: {target for module, _, _ in imports(name, source) if (target := home(module)) not in (None, name)}
        for name, source in sources.items()
    }


def circles(sources: Mapping[str, str]) -> set[frozenset[str]]:
    """The groups of modules that reach one another by imports."""
    imported = edges(sources)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = [start]
        while ahead:
            fresh = imported[ahead.pop()] - seen
            seen |= fresh
            ahead += fresh
        return seen

    reach = {name: reached(name) for name in imported}
    return {frozenset(other for other in reach[name] if name in reach[other]) for name in reach if name in reach[name]}


def test_circles_are_seen() -> None:
    """Where one name is imported inside a function, another for its type, and a third by its package."""
    sources = {
        "a.__init__": "",
        "a.b": "def f():\n    from a import c",
        "a.c": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a.d import D",
        "a.d": "from .b import f",
        "a.e": "import json\nfrom a.d import D\nfrom a import b",
    }
    assert circles(sources) == {frozenset({"a.b", "a.c", "a.d"})}
    assert circles({**sources, "a.d": "from json import dumps"}) == set()


def test_no_import_circles() -> None:
    """Of two modules one can be read and tested without the other."""
    assert circles(dict(modules((*ROOMS, "benchmarks")))) == set()


# Lines of a module and of a function, modules of a folder: what a reader holds in mind at once.
LONGEST_MODULE, LONGEST_FUNCTION, FULLEST_FOLDER = 250, 45, 12

# Each with its reason; the lists may only shrink.
LARGE_MODULES = {
    "store.database": "one class, the open store, whose methods are short",
    "benchmarks.gpu": "one script for a machine that is lent for minutes",
    "benchmarks.harness": "how everything is timed: rounds, processes, records",
    "benchmarks.million": "a store of a million premises and what is asked of it",
    "benchmarks.training": "our step and its references side by side",
}
LARGE_FUNCTIONS = {"benchmarks.__main__.main": "its options, and what follows from each"}
# Lists: a file for each command, task and experiment.
LISTS = {"multicsr_cli.commands", "stages.tasks", "multicsr.paper.experiments"}


def functions(name: str, source: str) -> Iterator[tuple[str, int]]:
    """(module.function, its lines, with signature and docstring) of every function, at whatever depth."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield f"{name}.{node.name}", node.end_lineno - node.lineno + 1


def test_functions_are_measured() -> None:
    source = "class A:\n    def f(\n        self,\n    ):\n        async def g():\n            pass\n        return g\n"
    assert dict(functions("a.b", source)) == {"a.b.f": 6, "a.b.g": 2}


def test_no_module_is_longer_than_a_reader_holds() -> None:
    large = {name for name, source in modules((*ROOMS, "benchmarks")) if len(source.splitlines()) > LONGEST_MODULE}
    assert large == LARGE_MODULES.keys()


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        name
        for module, source in modules((*ROOMS, "benchmarks"))
        for name, lines in functions(module, source)
        if lines > LONGEST_FUNCTION
    }
    assert long == LARGE_FUNCTIONS.keys()


def test_no_folder_is_fuller_than_a_glance() -> None:
    """Modules beside one another, their folder's own `__init__` and `__main__` not counted."""
    folders = Counter(name.rpartition(".")[0] for name, _ in modules() if not name.endswith(("__init__", "__main__")))
    assert [folder for folder, count in folders.items() if count > FULLEST_FOLDER and folder not in LISTS] == []


def test_the_laws_read_every_module() -> None:
    names = {name for name, _ in modules()}
    assert {
        "stages.gen",
        "stages.models.training.fit",
        "stages.tasks.sts",
        "store.database",
        "multicsr_cli.main",
    } <= names
    assert not list(ROOT.glob("*.py"))  # no module stands outside the rooms


def test_innocent_sources_break_no_law() -> None:
    innocent = [
        (
            "multicsr_cli.commands.gen",
            "import typer\nfrom rich.table import Table\ndef f():\n    from stages import gen",
        ),
        ("stages.pace.ray_workers", "import ray\nfrom stages.pace.workers import Item"),
        (
            "stages.models.training.fit",
            "import torch\nfrom stages.models.training.loss import loss\nfrom . import encoder",
        ),
        (
            "stages.tasks.sts",
            "import numpy as np\nfrom scipy import stats\nimport faiss\nfrom stages.tasks import files",
        ),
        ("stages.tasks.own", "from stages.files import tables\nfrom store.problem import Problem"),
        ("stages.files.tables", "import pyarrow.parquet\nfrom store.problem import Problem"),
        ("store.rows.drafts", 'import json\nfrom store.database import Store\nX = "SELECT 1 FROM runs"'),
        ("store.whole", "import os\nfrom store.problem import Problem"),
        ("stages.gen", '"""Select one from the drafts, update the runs."""\nX = "select another one"'),
    ]
    assert [law(name, source) for law in LAWS for name, source in innocent if law(name, source)] == []
