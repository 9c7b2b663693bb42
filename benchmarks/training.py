"""What the training claims share: triplets to train on, our training, and sentence-transformers' of the same triplets.

Both sides start from the same base and guide in memory and end with a base trained for the three epochs that `multicsr
train` takes by default. Ours: every text through the guide once (this counts in full, as if no second seed or run ever
read those vectors again), then `Training`. The reference: `SentenceTransformerTrainer` with `GISTEmbedLoss`, which runs
the guide on every batch. Batch, length, learning rate, schedule, clipping, optimiser and dropout are the same; logging,
saving and evaluation are off. A record also says what the ratio would be for a single epoch.

The rules of the two losses differ (ours masks above a fixed similarity; GISTEmbed above that of the premise and its own
entailment, and contrasts premises and entailments among themselves too), so their values cannot be compared. What can
be is done: with dropout off, our first loss is that of three loops over vectors that sentence-transformers computes.
"""

from __future__ import annotations

import math
import random
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks import harness
from benchmarks.harness import Limit, Record, Settings
from stages.models import catalog, checkpoint, loading
from stages.models.encoder.model import Encoder, normalised
from stages.models.training.fit import MaskVectors, Recipe, Training
from stages.tasks.files import lines

Triplet = tuple[str, str, str]

TAU, SIGMA = 0.05, 0.9
EPOCHS = 3
MAX_LENGTH = 32  # tokens; longer sentences are cut in training
ENCODED_AT_ONCE = 64  # texts, as `multicsr train` does by default

REFERENCE = "sentence-transformers' trainer with GISTEmbedLoss"


@dataclass(frozen=True)
class Course:
    """What both sides are given. `base` and `guide` are sentence-transformers folders."""

    base: Path
    guide: Path
    triplets: Sequence[Triplet]
    train_batch: int
    lr: float
    device: str

    def recipe(self, dtype: str, seed: int = 0) -> Recipe:
        return Recipe(TAU, SIGMA, self.train_batch, EPOCHS, self.lr, MAX_LENGTH, seed, dtype)

    def encoder(self, folder: Path) -> Encoder:
        return loading.encoder(catalog.locate(str(folder), "encoder"), torch.device(self.device))

    @property
    def texts(self) -> list[str]:
        """Every text once."""
        return list(dict.fromkeys(text for triplet in self.triplets for text in triplet))


@contextmanager
def course(settings: Settings, steps: int = 8) -> Iterator[Course]:
    """On a CPU the embedded base and guide at their batch of 32; on a GPU both of RoBERTa-base's shape, at 256.

    `steps` of each epoch; two where `--quick` only tries it.
    """
    steps = 2 if settings.quick else steps
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        if settings.device.startswith("cuda"):
            checkpoint.save(_roberta(), base, "")
            yield Course(base, base, triplets(settings.data, 256 * steps), 256, 5e-5, settings.device)
        else:
            checkpoint.save(loading.encoder(catalog.locate("minilm-l4", "encoder"), torch.device("cpu")), base, "")
            guide = catalog.locate("minilm", "encoder").folder
            yield Course(base, guide, triplets(settings.data, 32 * steps), 32, 1e-4, settings.device)


def triplets(data: Path | None, count: int) -> list[Triplet]:
    """`count` triplets that people wrote (SNLI dev) or, without data, of sentences drawn from the bundled ones' words."""
    if data is None:
        return _drawn(count)
    columns = [[line.strip() for line in lines(data / "snli" / f"{name}.dev")] for name in ("s1", "s2", "labels")]
    written: dict[str, dict[str, str]] = {}
    for premise, hypothesis, label in zip(*columns, strict=True):
        written.setdefault(premise, {}).setdefault(label, hypothesis)
    found = [
        (premise, by["entailment"], by["contradiction"])
        for premise, by in written.items()
        if {"entailment", "contradiction"} <= by.keys()
    ]
    if len(found) < count:
        raise ValueError(f"{count} triplets are asked for, SNLI dev has {len(found)}")
    return found[:count]


def _drawn(count: int) -> list[Triplet]:
    rows = (files("stages") / "bundled" / "premises.tsv").read_text(encoding="utf-8").splitlines()[1:]
    words = [word for row in rows for word in row.split("\t")[1].split()]
    draw = random.Random(0)
    # As many words as captions and hypotheses have.
    sentences = [
        " ".join(draw.choices(words, k=draw.randint(*bounds))) for bounds in [(8, 20), (4, 12), (4, 12)] * count
    ]
    return list(zip(sentences[::3], sentences[1::3], sentences[2::3], strict=True))


def _roberta() -> Encoder:
    """RoBERTa-base's shape with random weights, behind the embedded tokenizer: no network, and speed is the same."""
    from transformers import AutoTokenizer, RobertaConfig, RobertaModel

    tokenizer = AutoTokenizer.from_pretrained(catalog.locate("minilm", "encoder").folder)
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, pad_token_id=tokenizer.pad_token_id
    )
    return Encoder(RobertaModel(config), tokenizer, "mean", 256)


class Ours:
    """Our side, loaded once."""

    def __init__(self, course: Course, dtype: str) -> None:
        self.course = course
        self.dtype = dtype
        self.encoder, self.guide = course.encoder(course.base), course.encoder(course.guide)

    def train(self) -> int:
        """The guide's vectors, then all steps; the number of steps taken."""
        mask = mask_vectors(self.guide, self.course)
        training = Training(self.encoder, self.course.triplets, mask, self.course.recipe(self.dtype))
        return sum(1 for _ in training.steps())


def mask_vectors(guide: Encoder, course: Course) -> MaskVectors:
    """The guide's vector of every text, computed once a text."""
    place = {text: number for number, text in enumerate(course.texts)}
    vectors = normalised(guide.encode(course.texts, ENCODED_AT_ONCE))
    return MaskVectors(*(vectors[[place[text] for text in column]] for column in zip(*course.triplets, strict=True)))


class Reference:
    """sentence-transformers' side, built once; `train` is its trainer alone."""

    def __init__(self, course: Course) -> None:
        from datasets import Dataset
        from sentence_transformers import (
            SentenceTransformer,
            SentenceTransformerTrainer,
            SentenceTransformerTrainingArguments,
        )
        from sentence_transformers.losses import GISTEmbedLoss

        self.model, guide = (
            SentenceTransformer(str(folder), device=course.device) for folder in (course.base, course.guide)
        )
        # Also what lets the guide read the base's tokens, instead of decoding and tokenising every batch again.
        self.model.max_seq_length = MAX_LENGTH
        columns = zip(("anchor", "positive", "negative"), zip(*course.triplets, strict=True), strict=True)
        self.trainer = SentenceTransformerTrainer(
            model=self.model,
            args=SentenceTransformerTrainingArguments(
                output_dir=str(course.base.parent / "trainer"),
                num_train_epochs=EPOCHS,
                per_device_train_batch_size=course.train_batch,
                learning_rate=course.lr,
                lr_scheduler_type="linear",
                max_grad_norm=1.0,
                logging_strategy="no",
                save_strategy="no",
                eval_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=course.device == "cpu",
            ),
            train_dataset=Dataset.from_dict({name: list(texts) for name, texts in columns}),
            loss=GISTEmbedLoss(self.model, guide, temperature=TAU),
        )

    def train(self) -> int:
        """The number of steps taken."""
        self.trainer.train()
        return int(self.trainer.state.global_step)


def compare(name: str, claim: str, at_least: float, settings: Settings, dtype: str) -> Record:
    """The race of ours in `dtype` against the reference in its own float32."""
    with course(settings) as given:
        memory = {side: alone(peak, side, given, dtype) for side in ("ours", "reference")}
        same = same_first_loss(given)
        ours, reference = Ours(given, dtype), Reference(given)
        race, our_steps, their_steps = harness.race(ours.train, reference.train, settings.rounds)
        if our_steps != their_steps:
            raise ValueError(f"we took {our_steps} steps, the reference {their_steps}")
        guide_seconds, _ = harness.timed(lambda: mask_vectors(ours.guide, given))
        count = EPOCHS * len(given.triplets)
        return Record(
            name=name,
            claim=claim,
            reference=REFERENCE + (", float32" if dtype != "float32" else ""),
            at_least=at_least,
            unit="triplets",
            count=count,
            race=race,
            same=f"{same}; {their_steps} steps over the same {len(given.triplets)} triplets on both sides",
            sizes={
                "train_batch": given.train_batch,
                "max_length": MAX_LENGTH,
                "dtype": dtype,
                "base": shape(ours.encoder),
                "guide": shape(ours.guide),
                "triplets": "SNLI" if settings.data else "drawn from bundled words",
                "distinct_triplets": len(given.triplets),
                "epochs": EPOCHS,
                "tokens_per_triplet": round(_tokens(ours.encoder, given) / len(given.triplets), 1),
            },
            limit=machine_limit(ours, given),
            extra={
                "peak_bytes": memory,
                "guide_seconds": guide_seconds,
                "ratio_for_one_epoch": _for_one_epoch(race, guide_seconds),
            },
        )


def _for_one_epoch(race: harness.Race, guide_seconds: float) -> float:
    """The ratio if the guide's vectors were read in one epoch only."""
    ours, reference = statistics.median(race.ours), statistics.median(race.reference)
    return (reference / EPOCHS) / (guide_seconds + (ours - guide_seconds) / EPOCHS)


def same_first_loss(course: Course) -> str:
    """Our first loss, without dropout, against loops over vectors from sentence-transformers; says by how much they differ.

    Raises ValueError where they differ by more than float32's rounding under 1 / tau.
    """
    from sentence_transformers import SentenceTransformer

    encoder = course.encoder(course.base)
    for part in encoder.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    # One batch is a whole epoch: the mean over it does not depend on the order.
    batch = course.triplets[: course.train_batch]
    first = replace(course, triplets=batch)
    training = Training(encoder, batch, mask_vectors(course.encoder(course.guide), first), course.recipe("float32"))
    step = next(training.steps())
    base, guide = (SentenceTransformer(str(folder), device=course.device) for folder in (course.base, course.guide))
    base.max_seq_length = MAX_LENGTH
    columns = [[triplet[side] for triplet in batch] for side in range(3)]
    expected = looped_loss(
        [base.encode(column, normalize_embeddings=True).tolist() for column in columns],
        [guide.encode(column, normalize_embeddings=True).tolist() for column in columns],
        columns[0],
    )
    if not math.isclose(step.loss, expected, abs_tol=1e-4):
        raise ValueError(f"our first loss is {step.loss}, the loops say {expected}")
    return f"loss of one batch without dropout: {step.loss:.6f}, by loops over the reference's vectors {expected:.6f}"


def looped_loss(h: list[list[list[float]]], p: list[list[list[float]]], premises: Sequence[str]) -> float:
    """Eq. 5-7 term by term: h and p hold the base's and the guide's vectors of all x, x+ and x-, of length 1."""
    total = 0.0
    for i, premise in enumerate(premises):
        terms = [
            math.exp(_dot(h[0][i], h[side][k]) / TAU)
            for side in (1, 2)
            for k in range(len(premises))
            if premises[k] == premise or _dot(p[0][i], p[side][k]) < SIGMA
        ]
        total += math.log(sum(terms)) - _dot(h[0][i], h[1][i]) / TAU
    return total / len(premises)


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def alone(task: Any, *arguments: Any) -> Any:
    """`task(*arguments)` in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as one:
        return one.submit(task, *arguments).result()


def peak(side: str, course: Course, dtype: str) -> int:
    """Most bytes held while training: of the GPU where there is one, else of this process."""
    (Ours(course, dtype) if side == "ours" else Reference(course)).train()
    if course.device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated())
    return harness.peak_memory()


def machine_limit(ours: Ours, course: Course) -> Limit:
    """6 operations a parameter and token for training, 2 for the guide; AdamW reads weight, gradient and both moments
    and writes all but the gradient. Word vectors are looked up, not multiplied. All operations are counted at `dtype`."""
    encoder, guide = ours.encoder, ours.guide
    training = Training(encoder, course.triplets, None, course.recipe(ours.dtype))
    read = sum(len(row) for row in guide.ids(course.texts))
    flop = EPOCHS * 6 * multiplied(encoder) * _tokens(encoder, course) + 2 * multiplied(guide) * read
    moved = training.total * 7 * 4 * sum(weight.numel() for weight in training.trained)
    return harness.limit(flop, moved, ours.dtype, course.device)


def _tokens(encoder: Encoder, course: Course) -> int:
    return sum(len(row) for column in zip(*course.triplets, strict=True) for row in encoder.ids(column, MAX_LENGTH))


def multiplied(encoder: Encoder) -> int:
    """Parameters of the layers, without embeddings."""
    return sum(weight.numel() for weight in encoder.backbone.encoder.parameters())


def shape(encoder: Encoder) -> str:
    config = encoder.backbone.config
    return f"{config.model_type}, {config.num_hidden_layers} layers, width {config.hidden_size}"
