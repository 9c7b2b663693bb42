"""The processes ("ranks") of one training, on one machine or several: what they say to one another.

`torchrun` starts them and takes all down when one dies; torch.distributed carries tensors, over NCCL between GPUs and over
Gloo otherwise. Rank 0 leads: it says what is to be done, and the others do it with it (`stages/models/training/parts.py`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

from stages.models import memory
from store.problem import Problem

# Followers wait while the leader measures, or embeds a corpus with the mask model. Nobody waits for a rank that died: its
# connections close, and torchrun ends the others.
WAIT = timedelta(days=30)


class SingleProcess:
    """One process: there is nobody to tell, and what it has is the sum of all."""

    rank, count = 0, 1

    def say(self, order: object) -> None:
        """Tell every follower what to do next; None: go home."""

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Give every rank the leader's `tensors`, in place."""

    def all_reduce(self, tensor: Tensor) -> None:
        """Give every rank the sum of all ranks' `tensor`, in place."""

    def reduce(self, tensors: Sequence[Tensor]) -> None:
        """Give the leader the sums of all ranks' `tensors`, in place."""


class Ranks(SingleProcess):
    """One of several processes. Every method but `say` is called by all of them, in the same order."""

    def __init__(self) -> None:
        self.rank, self.count = distributed.get_rank(), distributed.get_world_size()

    def say(self, order: object) -> None:
        with _lost():
            distributed.broadcast_object_list([order], src=0, device=torch.device("cpu"))

    def hear(self) -> Any:
        """What the leader says next. Where it is gone instead, this process ends in silence: the leader told why."""
        heard: list[Any] = [None]
        try:
            with _lost():
                distributed.broadcast_object_list(heard, src=0, device=torch.device("cpu"))
        except Problem:
            raise SystemExit(1) from None
        return heard[0]

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
        with _lost():
            distributed.broadcast(flat, src=0)
        if self.rank > 0:
            _unpack(flat, tensors)

    def all_reduce(self, tensor: Tensor) -> None:
        with _lost():
            distributed.all_reduce(tensor)

    def reduce(self, tensors: Sequence[Tensor]) -> None:
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with _lost():
            distributed.reduce(flat, dst=0)
        if self.rank == 0:
            _unpack(flat, tensors)


def _unpack(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    pieces = flat.split([tensor.numel() for tensor in tensors])
    with torch.no_grad():
        for tensor, piece in zip(tensors, pieces, strict=True):
            tensor.copy_(piece.view_as(tensor))


@contextmanager
def _lost() -> Iterator[None]:
    """Another rank that died is named in one line."""
    try:
        yield
    except RuntimeError as error:
        if memory.ran_out(error):
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise Problem(
            f"rank {distributed.get_rank()} lost another rank of this training: {reason}",
            "see what that rank says; the same command goes on from the last resume point, with any number of ranks",
        ) from error


@contextmanager
def joined(where: str) -> Iterator[Ranks]:
    """Meet the other ranks that torchrun started, each on a GPU of its own where `where` is cuda.

    The leader's end in peace is that of all. Where it ends otherwise, torchrun ends the others.
    """
    if where.startswith("cuda"):
        _own_gpu(where)
    with _stdout_as_stderr(), _unmet():  # Gloo tells on stdout whom it met
        distributed.init_process_group("cpu:gloo,cuda:nccl" if where.startswith("cuda") else "gloo", timeout=WAIT)
    ranks = Ranks()
    if ranks.rank > 0:
        # Python would hear of Ctrl-C only after the wait for the leader.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    yield ranks
    if ranks.rank == 0:
        ranks.say(None)
    distributed.destroy_process_group()


def _own_gpu(where: str) -> None:
    """Let `cuda` mean the GPU that is this rank's by its number on the machine."""
    if where != "cuda":
        raise Problem(f"device {where} is one GPU, and each rank takes its own", "give cuda", "device")
    own, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if own >= count:
        raise Problem(
            f"rank {os.environ['RANK']} is number {own} on its machine, which has {count} CUDA device{'s' * (count != 1)}",
            f"give torchrun --nproc-per-node {count}",
        )
    torch.cuda.set_device(own)


@contextmanager
def _unmet() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise Problem(f"the ranks of this training did not meet: {reason}", "start them all with `torchrun`") from error


@contextmanager
def _stdout_as_stderr() -> Iterator[None]:
    """What a library writes to the process's stdout goes to stderr: stdout is data."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
