"""Real things to test with: a store in memory, tiny saved models, a file of premises, prompt sets."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3

# Read when torch is first loaded, so they stand above every import that could load it.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from store.database import Store

if TYPE_CHECKING:
    from shell import Ended

    from stages.models.llm.model import LanguageModel

# A shell starts what it puts into the background with interrupts ignored, and processes hand that on to those they start:
# the tests of Ctrl-C would then interrupt nobody.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow machine is no failure, and every run of the suite tries the same examples.
settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("house")

PREMISES = [
    "A dog runs along the beach.",
    "Two women are reading in the park.",
    "The train to the coast leaves at nine.",
    "He repaired the old radio with spare parts.",
    "Children play football behind the school.",
    "The soup was too hot to eat.",
    "Nobody heard the bell ring.",
    "She has lived in this house for ten years.",
    "Rain is expected over the hills tonight.",
    "The museum is closed on Mondays.",
]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """torch computes to the last bit alike on one thread only."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the settings of whoever runs it."""
    for name in ("MULTICSR_DB", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store.memory()
    yield opened
    opened.close()


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[Store]:
    """A store in a file, with its folder beside it."""
    opened = Store.open(tmp_path / "s.db")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def premises_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("premises") / "premises.txt"
    path.write_text("\n".join(PREMISES) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder-only LLM of a few thousand random weights."""
    import tiny

    folder = tmp_path_factory.mktemp("models") / "llama"
    tiny.save_tiny_llama(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder-decoder LLM; the "t5" in its name chooses the prompt set."""
    import tiny

    folder = tmp_path_factory.mktemp("models") / "tiny-t5"
    tiny.save_tiny_t5(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence encoder that records no pooling: `--pooler mean` must say it."""
    import tiny

    folder = tmp_path_factory.mktemp("models") / "bert"
    tiny.save_tiny_bert(folder)
    return folder


@pytest.fixture(scope="session")
def llm(tiny_llm: Path) -> LanguageModel:
    return _language_model(tiny_llm)


@pytest.fixture(scope="session")
def t5(tiny_t5: Path) -> LanguageModel:
    return _language_model(tiny_t5)


def _language_model(folder: Path) -> LanguageModel:
    import torch

    from stages.models import catalog, loading

    torch.set_num_threads(1)
    return loading.language_model(catalog.locate(str(folder), "llm"), torch.device("cpu"), "float32")


@pytest.fixture(scope="session")
def prompts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prompt set of short prompts for tiny models."""
    import asked

    return asked.write(tmp_path_factory.mktemp("prompts"))


@dataclass(frozen=True)
class Piped:
    """A store that went the whole road by the command line: what each command printed, by its name."""

    db: Path
    said: dict[str, Ended]
    commands: dict[str, tuple[object, ...]]

    def run(self, stage: str) -> str:
        return str(self.said[stage].json["run"])


@pytest.fixture(scope="session")
def piped(
    tmp_path_factory: pytest.TempPathFactory,
    premises_file: Path,
    prompts_file: Path,
    tiny_llm: Path,
    tiny_encoder: Path,
) -> Piped:
    import torch
    from shell import multicsr

    torch.set_num_threads(1)
    db = tmp_path_factory.mktemp("piped") / "s.db"
    asked, read = ("--dtype", "float32"), ("--prompts", prompts_file)
    commands: dict[str, tuple[object, ...]] = {
        "gen": ("gen", "--premises", premises_file, "--llm", tiny_llm, "--max-tokens", 12, *read, *asked),
        "score": ("score", "--by", "likelihood", *read, *asked),
        "curate": ("curate", "--alpha", 0, "--beta", 5, "--gamma", -5),
        "train": (
            "train",
            "--base",
            tiny_encoder,
            "--pooler",
            "mean",
            "--mask-model",
            "none",
            "--train-batch",
            4,
            *asked,
        ),
        "eval": ("eval", "latest"),
    }
    said = {stage: multicsr(*command, "--db", db, "--json") for stage, command in commands.items()}
    return Piped(db, said, commands)


@pytest.fixture
def copied(piped: Piped, tmp_path: Path) -> Piped:
    """A copy of the whole road, to be written to."""
    db = tmp_path / "copied" / "s.db"
    db.parent.mkdir()
    with closing(sqlite3.connect(piped.db)) as source, closing(sqlite3.connect(db)) as target:
        source.backup(target)  # with what is still in the write-ahead log
    shutil.copytree(f"{piped.db}.files", f"{db}.files")
    return Piped(db, piped.said, piped.commands)


@pytest.fixture
def wrong(copied: Piped, tmp_path: Path) -> Callable[..., Ended]:
    """Refused by a store that went the whole road, and by a path where there is none yet; `says` is in the message."""

    from shell import refused

    def refuse(*args: object, says: str = "") -> Ended:
        fresh = tmp_path / "fresh"
        fresh.mkdir(exist_ok=True)
        refused(fresh / "s.db", *args)
        ended = refused(copied.db, *args)
        assert says in ended.err, ended.err
        return ended

    return refuse


@pytest.fixture
def refuse(copied: Piped) -> Callable[..., Ended]:
    """Refused by a store that went the whole road; for commands that need a run to be wrong about."""

    from shell import refused

    def refuse(*args: object, says: str = "") -> Ended:
        ended = refused(copied.db, *args)
        assert says in ended.err, ended.err
        return ended

    return refuse
