"""`torchrun -m multicsr_cli train`: the run that one process makes, and nothing that is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PREMISES
from rows import GEN, Made, add_drafts, add_premises
from shell import Ended, multicsr

from stages.models import catalog, checkpoint, loading
from store.database import Store
from store.read import runs
from store.rows import training

PATIENCE = 240  # seconds until processes that do nothing are called broken
MARK = "MULTICSR_TEST_MARK"
MADE = [Made(text, text.replace(" the ", " a "), f"Never: {text.lower()}") for text in PREMISES]


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "s.db"
    store = Store.open(path)
    add_drafts(store, store.begin("gen", 1, GEN, None), zip(add_premises(store, PREMISES), MADE, strict=True))
    store.close()
    return path


def asked(db: Path, tiny_encoder: Path, *more: object) -> list[str]:
    gen = Store.open(db).find("latest", ("gen",))
    settings = (
        "--pooler",
        "mean",
        "--train-batch",
        4,
        "--lr",
        1e-3,
        "--device",
        "cpu",
        "--dtype",
        "float32",
        "--db",
        db,
    )
    return [str(word) for word in ("train", gen.id, "--base", tiny_encoder, *settings, *more)]


class Torchrun:
    """Two ranks of a command, and all processes that come of them."""

    def __init__(self, *args: str) -> None:
        self.mark = uuid.uuid4().hex
        environment = {**os.environ, MARK: self.mark, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        self.process = subprocess.Popen(
            [*launcher, "-m", "multicsr_cli", *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ended(self) -> Ended:
        out, err = self.process.communicate(timeout=PATIENCE)
        return Ended(self.process.returncode, out, err)

    def processes(self, *settings: str) -> list[int]:
        """Those that are there, with these settings in their environment."""
        wanted, found = {f"{MARK}={self.mark}", *settings}, []
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdecimal() and wanted <= set((folder / "environ").read_text().split("\0")):
                    found.append(int(folder.name))
            except (OSError, UnicodeDecodeError):
                continue  # it is gone, or another user's
        return found


@pytest.fixture
def launched() -> Iterator[list[Torchrun]]:
    every: list[Torchrun] = []
    yield every
    for one in every:
        for pid in one.processes():
            os.kill(pid, signal.SIGKILL)


def launch(launched: list[Torchrun], args: list[str]) -> Torchrun:
    launched.append(Torchrun(*args))
    return launched[-1]


def trained(db: Path, id: str) -> tuple[list[float], list[float]]:
    """The losses and the dev figures of a training."""
    store = Store.open(db)
    run = store.run(id)
    return [step.loss for step in training.steps(store, run)], [row.value for row in training.metrics(store, run)]


def wait_for_steps(db: Path, going: Torchrun) -> None:
    """Until a training has stored its first steps."""
    until = time.monotonic() + PATIENCE
    while Store.open(db, write=False).one("SELECT count(*) FROM steps") == (0,):
        assert going.process.poll() is None, going.ended().err
        assert time.monotonic() < until
        time.sleep(0.2)


def test_two_ranks_make_the_run_that_one_process_makes(
    db: Path, tiny_encoder: Path, tmp_path: Path, launched: list[Torchrun]
) -> None:
    """Rows, figures and id, under a mask; one document on stdout. The third time it is complete."""
    guide = tmp_path / "guide"
    checkpoint.save(
        loading.encoder(catalog.locate(str(tiny_encoder), "encoder"), "cpu", "mean"), guide, "A mask model."
    )
    more = ("--epochs", 2, "--eval-every", 3, "--mask-model", guide, "--sigma", 0.5, "--json")
    alone = shutil.copy(db, tmp_path / "alone.db")
    said = launch(launched, asked(db, tiny_encoder, *more)).ended().json
    like = multicsr(*asked(alone, tiny_encoder, *more)).json
    assert said["run"] == like["run"]
    for one, other in zip(trained(db, said["run"]), trained(alone, said["run"]), strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-3)
    store = Store.open(db)
    assert runs.environment(store, store.run(said["run"]))["ranks"] == "2"
    assert "complete already" in launch(launched, asked(db, tiny_encoder, *more)).ended().err


@pytest.mark.parametrize("killed", ["a follower", "Ctrl-C"])
def test_a_rank_that_dies_takes_the_others_down_and_one_process_goes_on(
    db: Path, tiny_encoder: Path, launched: list[Torchrun], killed: str
) -> None:
    """No process is left, and the store is one that can be gone on with."""
    going = launch(launched, asked(db, tiny_encoder, "--mask-model", "none", "--epochs", 4000, "--eval-every", 1))
    wait_for_steps(db, going)
    if killed == "Ctrl-C":
        going.process.send_signal(signal.SIGINT)
    else:
        (follower,) = going.processes("RANK=1")
        os.kill(follower, signal.SIGKILL)
    ended = going.ended()
    assert ended.code != 0
    assert going.processes() == []
    if killed == "a follower":
        assert f"Signal 9 (SIGKILL) received by PID {follower}" in ended.err  # by torchrun
    more = ("--mask-model", "none", "--epochs", 2, "--eval-every", 1)
    assert multicsr(*asked(db, tiny_encoder, *more)).code == 0


def test_a_problem_is_told_once_and_ends_all(db: Path, tiny_encoder: Path, launched: list[Torchrun]) -> None:
    """By the leader, who alone looks at the store: here a dimension that only the loaded encoder can refuse."""
    ended = launch(launched, asked(db, tiny_encoder, "--mask-model", "none", "--whiten", "--whiten-dim", 999)).ended()
    assert ended.code == 1
    assert [line for line in ended.err.splitlines() if line.startswith("error: ")] == [
        f"error: --whiten-dim 999 is more than the 32 dimensions of {tiny_encoder}"
    ]
    assert "/stages/" not in ended.err  # torchrun ends in a traceback of its own, we do not
    assert ended.out == ""
