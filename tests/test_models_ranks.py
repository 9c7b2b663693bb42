"""Processes that share a training, two and three of them over Gloo: the road of one process, dropout on."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_models_objectives import OBJECTIVES, training
from test_models_parts import assert_same_road

from stages.models import catalog, loading
from stages.models.training import parts, ranks
from stages.models.training.fit import Training

CPU = torch.device("cpu")
Work = Callable[[Path, ranks.Ranks], None]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_tiny_bert(tmp_path_factory.mktemp("encoder") / "bert")


def made(bert: Path, name: str, pooler: str, met: ranks.Ranks | None = None, **values: Any) -> Training:
    """A training whose encoder every rank has loaded."""
    mlp = name.startswith("simcse-unsup")
    found = catalog.locate(str(bert), "encoder")
    if met is not None:
        met.say(parts.Load(found, pooler, 3, mlp))
    return training(bert, name, loading.trainable(found, CPU, pooler, 3, mlp), ranks=met, **values)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def one_rank(rank: int, work: Work, bert: Path, count: int, port: int) -> None:
    """What `multicsr train` does as the leader, with `work` in the place of a training, or as a follower."""
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(count), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    with ranks.joined("cpu") as met:
        if rank == 0:
            work(bert, met)
        else:
            parts.follow(met, "cpu")


def led(work: Work, bert: Path, count: int) -> None:
    """Do `work(bert, ranks)` as the leader of `count` processes; what it asserts is asserted here."""
    torch.multiprocessing.spawn(one_rank, args=(work, bert, count, free_port()), nprocs=count)


def every_objective(bert: Path, met: ranks.Ranks) -> None:
    for name in OBJECTIVES:
        pooler = "cls_before_pooler" if name.startswith("simcse-unsup") else "cls"
        assert_same_road(made(bert, name, pooler, met), made(bert, name, pooler))


def test_two_ranks_walk_the_road_of_one(bert: Path) -> None:
    """Every objective, with a smaller last batch; followers serve one training after another."""
    led(every_objective, bert, 2)


def templates_and_chunks(bert: Path, met: ranks.Ranks) -> None:
    for name in ("multicsr", "simcse-unsup listmle"):
        assert_same_road(
            made(bert, name, "prompt", met, chunk=2, max_length=60), made(bert, name, "prompt", max_length=60)
        )
    # Batches of one triplet: of its three texts the third rank has none, where the others have as many tokens.
    assert_same_road(
        made(bert, "simcse", "mean", met, train_batch=1, epochs=1),
        made(bert, "simcse", "mean", train_batch=1, epochs=1),
    )


def test_three_ranks_share_templates_chunks_and_batches_smaller_than_they_are_many(bert: Path) -> None:
    led(templates_and_chunks, bert, 3)


def goes_on(bert: Path, met: ranks.Ranks) -> None:
    whole = list(made(bert, "multicsr", "cls").steps())
    first = made(bert, "multicsr", "cls")
    begun = list(islice(first.steps(), 2))
    second = made(bert, "multicsr", "cls", met)
    second.restore(first.state())
    more = list(islice(second.steps(), 2))
    third = made(bert, "multicsr", "cls")
    third.restore(second.state())
    losses = [step.loss for step in [*begun, *more, *third.steps()]]
    assert losses == pytest.approx([step.loss for step in whole], rel=1e-4, abs=1e-4)


def test_a_training_goes_on_with_another_number_of_ranks(bert: Path) -> None:
    """Two steps alone, two with another rank, two alone again."""
    led(goes_on, bert, 2)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=50), st.integers(1, 9))
def test_every_text_has_one_rank_and_tokens_are_spread(lengths: list[int], count: int) -> None:
    """No rank has more than its part of the tokens and one text more; the first is never without."""
    shares = parts.shares(lengths, count)
    assert len(shares) == count
    assert sorted(text for share in shares for text in share) == list(range(len(lengths)))
    assert shares[0]
    assert max(sum(lengths[text] for text in share) for share in shares) <= sum(lengths) / count + max(lengths)
