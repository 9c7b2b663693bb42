"""What --device and --dtype mean, found without loading torch where that can be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import Piped

from stages.models import device
from stages.models.device import FAST_BFLOAT16, may_have_gpu, processor_flags
from store.problem import Problem


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch itself is asked")
def test_the_system_and_torch_agree_on_fast_bfloat16() -> None:
    asked = {name for name in FAST_BFLOAT16 if torch.cpu.get_capabilities().get(name)}
    assert processor_flags() & FAST_BFLOAT16 == asked


@pytest.mark.parametrize(("flags", "expected"), [("fpu avx512_bf16", "avx512_bf16"), ("fpu avx2", None)])
def test_flags_are_read_from_every_processor(tmp_path: Path, flags: str, expected: str | None) -> None:
    listing = tmp_path / "cpuinfo"
    listing.write_text(f"processor : 0\nflags\t\t: {flags}\n\nprocessor : 1\nflags\t\t: {flags}\n")
    assert processor_flags(listing) & FAST_BFLOAT16 == ({expected} if expected else set())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only torch can tell")
def test_a_driver_is_seen_by_its_files(tmp_path: Path) -> None:
    assert not may_have_gpu(tmp_path)
    (tmp_path / "nvidia0").touch()
    assert may_have_gpu(tmp_path)


def test_auto_is_what_torch_says() -> None:
    assert device.device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device.device("cpu") == "cpu"
    assert device.dtype("float32", "cpu") == "float32"


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "mps"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(Problem, match=name):
        device.device(name)


def test_a_complete_run_says_so_without_loading_torch(piped: Piped) -> None:
    """gen, score and curate again: nothing is left to do, and a second's loading is saved."""
    commands = [[*map(str, piped.commands[stage]), "--db", str(piped.db)] for stage in ("gen", "score", "curate")]
    script = (
        "import json, sys\nfrom multicsr_cli.main import app\n"
        "for command in json.loads(sys.argv[1]):\n"
        "    app(args=command, prog_name='multicsr', standalone_mode=False)\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, json.dumps(commands)], capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == "[]"
    assert ended.stderr.count("complete already") == len(commands)
