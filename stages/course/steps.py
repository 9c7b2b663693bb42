"""The steps of a training: taken, stored, measured on the dev task. Arrow: example -> steps, dev figures, best weights.

Every so many steps the encoder is measured, and the best measured weights are kept. Resume points are taken by the clock,
which changes nothing: a training restored from any of them does the same steps again (`stages/models/training/fit.py`).
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.config import TrainConfig
from stages.course.masking import Masking
from stages.pace.batches import Batches
from stages.stage import Tick
from stages.tasks import sts
from store.database import Store
from store.problem import Problem
from store.records import Run
from store.rows import training
from store.rows.training import MetricRow, StepRow

if TYPE_CHECKING:
    from stages.models.training.fit import Training
    from stages.models.training.recipe import Step


@dataclass(frozen=True)
class Pace:
    """How a training is computed, which changes nothing of it: `batches` of texts outside its steps; `chunk` texts of one at
    a time (None: all), shared by `ranks` (None: by this process alone); at most `resume_seconds` of it are lost to a kill."""

    batches: Batches
    chunk: int | None
    ranks: Any
    resume_seconds: float


class Course:
    """The steps that are left of the training `run`, and the best weights so far, `best`."""

    def __init__(
        self,
        store: Store,
        run: Run,
        config: TrainConfig,
        dev: sts.StsTask,
        going: Training,
        pace: Pace,
        masking: Masking | None,
    ) -> None:
        from stages.models import checkpoint

        self.store, self.run, self.config, self.dev, self.going, self.pace = store, run, config, dev, going, pace
        self.masking = masking
        self.best: dict[str, Any] = {}
        self.unsaved: list[StepRow] = []
        resume = training.checkpoint(store, run, "resume")
        if resume is not None:
            state = checkpoint.load_state(resume[1], going.encoder.device)
            self.best = state.pop("best")
            going.restore(state)
        self.best_value = self._best_before(going.step)
        self.saved_at = time.monotonic()

    def ticks(self) -> Iterator[Tick]:
        """Take the steps; what was taken is stored with each measurement."""
        begun, total = self.going.step, self.going.total
        yield Tick(begun, total, "training")
        for step in self._taken():
            self.unsaved.append(StepRow(step.step, step.epoch, step.loss, step.masked_share, step.lr))
            fresh = step.step - begun
            if step.step % self.config.eval_every and step.step < total:
                yield Tick(step.step, total, f"loss {step.loss:.3f}", fresh)
                continue
            value = self._measure(step.step)
            if time.monotonic() - self.saved_at >= self.pace.resume_seconds and step.step < total:
                self._save(step.step)
            yield Tick(step.step, total, f"dev {value:.2f}", fresh, self.pace.batches.take_warning())

    def _taken(self) -> Iterator[Step]:
        """The steps. Their batch is part of what is trained, so it is not halved where memory runs out."""
        from stages.models import memory

        config, chunk = self.config, self.pace.chunk
        try:
            for step in self.going.steps():
                if not math.isfinite(step.loss):
                    raise self._no_number(step)
                yield step
        except (MemoryError, RuntimeError) as error:  # torch's own is a RuntimeError
            if not memory.ran_out(error):
                raise
            raise Problem(
                f"memory ran out at step {self.going.step + 1} with {config.train_batch} triplets of up to"
                f" {config.max_length or self.going.encoder.max_length} tokens at once (train_batch, max_length)",
                f"give {'chunk=64, say' if chunk is None else f'a smaller chunk than {chunk}'} (the result is the same),"
                " or a device with more memory",
            ) from error

    def _no_number(self, step: Step) -> Problem:
        tau = self.config.tau
        shown, remedy = ("", "") if tau is None else (f"tau {tau:g}, ", "a larger tau or ")
        return Problem(
            f"the loss is {step.loss} at step {step.step} ({shown}lr {self.config.lr:g})",
            f"train with {remedy}a smaller lr",
        )

    def _measure(self, step: int) -> float:
        """The dev figure, x 100; stored with the steps before it, and with it the weights if they are the best."""
        from stages.models.encoder.model import autocast

        encoder, batches = self.going.encoder, self.pace.batches
        try:
            with autocast(self.config.dtype, encoder.device):
                found = sts.evaluate(self.dev, lambda texts: batches.encode(encoder, texts), subsets=False)[0]
        except ValueError:
            raise Problem(
                f"at step {step} the encoder gives every dev sentence the same vector", "train with a smaller lr"
            ) from None
        if found.value > self.best_value:
            self.best_value = found.value
            self.best = {name: value.detach().clone() for name, value in encoder.state_dict().items()}
        metric = MetricRow(self.dev.name, "", found.name, step, found.value, found.n, found.error)
        training.add_progress(self.store, self.run, self.unsaved, [metric])
        self.unsaved = []
        return found.value

    def _save(self, step: int) -> None:
        """Leave a resume point in the place of the one before."""
        from stages.models import checkpoint

        folder = self.store.files / "runs" / self.run.id / f"step-{step}"
        checkpoint.save_state({**self.going.state(), "best": self.best}, folder)
        remove(training.add_checkpoint(self.store, self.run, "resume", step, folder))
        self.saved_at = time.monotonic()

    def _best_before(self, step: int) -> float:
        """The best dev figure up to `step`; later ones belong to steps that a kill undid and that are taken again."""
        rows = training.metrics(self.store, self.run)
        return max((row.value for row in rows if row.task == self.dev.name and row.step <= step), default=-math.inf)


def remove(folders: Sequence[Path]) -> None:
    """Remove resume points that no row names any more."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
