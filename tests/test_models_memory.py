"""What work is said to take against what it takes, counted tensor by tensor; so the estimate needs no GPU to be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from live import Live

from stages.models import catalog, loading, memory
from stages.models.llm.model import LanguageModel
from stages.models.llm.request import Line, Noise, Prompt
from store.problem import Problem

CPU = torch.device("cpu")
WORDS = "The same meaning in other words, and nobody is waiting for it on the old wooden bench. " * 8


@pytest.fixture(scope="module", params=["t5", "gpt2", "llama"])
def llm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    torch.set_num_threads(1)
    folder = getattr(tiny, f"save_tiny_{request.param}")(tmp_path_factory.mktemp("llm") / request.param)
    found = loading.language_model(catalog.locate(str(folder), "llm"), CPU, "float32")
    found.exact = False  # what is settled alone takes no more memory, and is not there in bfloat16, as GPUs compute
    return found


def asked(llm: LanguageModel, premises: int, shared: int, own: int, omega: float) -> tuple[list[Prompt], list[Line]]:
    """Two prompts and two lines a premise; a prompt has about `shared` tokens in common with all others."""
    ids = llm.tokenizer(WORDS, add_special_tokens=False).input_ids
    head, tail = llm.tokenizer.decode(ids[:shared]), llm.tokenizer.decode(ids[:own])
    prompts = [Prompt(f"{head}{place % 10}{tail}", len(head)) for place in range(2 * premises)]
    lines = [Line(place, (Noise(place ^ 1, omega),) if omega else (), "") for place in range(2 * premises)]
    return prompts, lines


@pytest.mark.parametrize("omega", [0.0, 0.3])
@pytest.mark.parametrize(
    ("premises", "shared", "own", "room"),
    [(4, 0, 10, 48), (4, 0, 60, 12), (4, 100, 60, 12), (8, 60, 10, 4), (3, 0, 100, 2), (16, 90, 12, 40)],
)
def test_writing_takes_no_more_than_it_is_given(
    llm: LanguageModel, premises: int, shared: int, own: int, room: int, omega: float
) -> None:
    """At most what is free when the estimate is put at SHARE of it; and the estimate is of its order."""
    prompts, lines = asked(llm, premises, shared, own, omega)
    llm.write(prompts, lines, room, lambda text: False)  # the shared prefixes are computed, and no part of a premise
    with Live() as live:
        llm.write(prompts, lines, room, lambda text: False)
    said = premises * llm.writing_bytes(prompts[:2], lines[:2], room)
    assert memory.SHARE["cuda"] * live.peak <= said <= 8 * live.peak
    assert not live.now


def test_the_tensors_that_live_are_counted_once_and_until_they_are_gone() -> None:
    """The instrument of this file, on sums that can be done by hand."""
    before = torch.zeros(1000)
    with Live() as live:
        one = torch.zeros(100)
        view = one[50:].view(5, 10)
        assert live.now == live.peak == 400
        del one
        assert live.now == 400
        two = view + 1
        assert live.now == live.peak == 600
        before += 1
        del view, two
        assert (live.now, live.peak) == (0, 600)


def test_encoding_takes_no_more_than_it_is_given(tiny_encoder: Path) -> None:
    encoder = loading.encoder(catalog.locate(str(tiny_encoder), "encoder"), CPU, "mean")
    for text in ("Rain.", "Nobody is waiting for it on the old wooden bench.", WORDS):
        with Live() as live:
            encoder.encode([text] * 16, 16)
        tokens = len(encoder.ids([text])[0])
        assert memory.SHARE["cuda"] * live.peak <= 16 * encoder.text_bytes(tokens) <= 8 * live.peak


def test_longer_prompts_more_room_and_noise_take_more(llm: LanguageModel) -> None:
    prompts, lines = asked(llm, 1, 0, 20, 0.3)
    each = llm.writing_bytes(prompts, lines, 10)
    assert each < llm.writing_bytes(prompts, lines, 20)
    assert each < llm.writing_bytes(asked(llm, 1, 0, 40, 0.3)[0], lines, 10)
    assert each > llm.writing_bytes(prompts, asked(llm, 1, 0, 20, 0.0)[1], 10)


def test_as_many_as_fit_at_least_one_and_no_more_than_gains_speed() -> None:
    usable = int(memory.SHARE["cpu"] * memory.free(CPU))
    assert memory.count(CPU, 2**60, 64) == 1
    assert memory.count(CPU, 1, 64) == 64
    assert 1 <= memory.count(CPU, usable // 4, 64) <= 6  # what is free wanders


def test_free_memory_is_some_and_not_more_than_the_machine_has() -> None:
    import psutil

    assert 0 < memory.free(CPU) <= psutil.virtual_memory().total


def test_a_container_has_what_its_limit_leaves_and_files_can_be_dropped(tmp_path: Path) -> None:
    names = ("memory.max", "memory.current")
    assert memory.left_in_container(tmp_path, *names) is None
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 150\n")
    for limit, left in (("1000", 450), ("600", 50), ("400", 0), ("max", None)):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        assert memory.left_in_container(tmp_path, *names) == left


def test_what_a_full_memory_really_raises_is_recognised() -> None:
    for allocate in (lambda: torch.empty(2**58, dtype=torch.uint8), lambda: np.empty(2**58, dtype=np.uint8)):
        with pytest.raises((RuntimeError, MemoryError)) as raised:
            allocate()
        assert memory.ran_out(raised.value)
    assert memory.ran_out(torch.OutOfMemoryError("CUDA out of memory."))
    # As cuBLAS says it when its workspace finds no room.
    assert memory.ran_out(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))


def test_weights_that_do_not_fit_are_refused_with_their_name_and_size() -> None:
    class Large(torch.nn.Linear):
        """A module that finds no room on any device it is moved to."""

        def _apply(self, *args: Any, **kwargs: Any) -> Any:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(Problem, match=r"the weights of large-llm \(0.5 GiB\) do not fit into the memory of cpu"):
        loading.moved(Large(2**10, 2**17, bias=False, device="meta"), CPU, "large-llm")


def test_other_errors_are_not_taken_for_it() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.zeros(2) @ torch.zeros(3)
    assert not memory.ran_out(raised.value)
    assert not memory.ran_out(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert not memory.ran_out(OSError("no space left on device"))
