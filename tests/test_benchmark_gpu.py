"""The GPU's benchmarks where there is no GPU: the code runs through at tiny shapes, and says what it needs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks import gpu, gpu_gen_decoder, gpu_gen_encoder_decoder
from benchmarks.harness import Settings


@pytest.mark.parametrize("module", [gpu_gen_decoder, gpu_gen_encoder_decoder])
def test_a_quick_round_ends_with_a_record(module: Any) -> None:
    record = module.measure(Settings(data=None, rounds=1, device="cpu", quick=True)).document()
    assert record["same"] == "6 of 6 texts equal in float32"
    assert record["extra"]["shortage"]["ended_with"] < record["extra"]["shortage"]["asked"]


def test_without_quick_a_cpu_is_refused_in_one_line() -> None:
    with pytest.raises(SystemExit, match="give --device cuda") as refused:
        gpu.device(Settings(data=None, rounds=1, device="cpu", quick=False))
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused_in_one_line() -> None:
    with pytest.raises(SystemExit, match="no CUDA device") as refused:
        gpu.device(Settings(data=None, rounds=1, device="cuda", quick=False))
    assert "\n" not in str(refused.value)


def test_the_tokenizer_reads_back_what_it_cuts_and_every_id_of_the_model() -> None:
    words = gpu.tokenizer(4096)
    text = 'Whales breathe air; "Café", 1984.\n'
    assert words.decode(words(text).input_ids) == text
    assert len(words) == 4096
    assert all(words.decode([place]) for place in range(words.pad_token_id + 1, 4096))
