"""The losses for sentence-transformers' own trainer: its steps are ours, on a small real model without dropout."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from multicsr.losses import (
    MaskedContrastiveLoss,
    RankCSELoss,
    ScoredContrastiveLoss,
    SimCSELoss,
    SimilarityLoss,
)
from stages.models import catalog, checkpoint, loading
from stages.models.encoder.model import normalised
from stages.models.training.fit import GRADIENT_NORM, MaskVectors, Recipe, Training
from stages.models.training.loss import masked_contrastive_loss
from stages.models.training.mask import false_negatives, own_hypotheses
from store.problem import Problem

sentence_transformers = pytest.importorskip("sentence_transformers")
SentenceTransformer = sentence_transformers.SentenceTransformer

CPU = torch.device("cpu")
TEXTS = tiny.CORPUS[:18]
# The first premise stands in the batch twice.
TRIPLETS = [(TEXTS[i % 15], TEXTS[i + 1], TEXTS[i + 2]) for i in range(0, 18, 3)]
SCORES = np.linspace(0.1, 0.9, 2 * len(TRIPLETS), dtype=np.float32).reshape(-1, 2)
COLUMNS = ("anchor", "positive", "negative")
SIGMA = 0.5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mean-pooled BERT without dropout, in the form that both load."""
    bert = tiny.save_tiny_bert(tmp_path_factory.mktemp("models") / "bert")
    config = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(
        json.dumps({**config, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0})
    )
    saved = tmp_path_factory.mktemp("models") / "encoder"
    checkpoint.save(loading.encoder(catalog.locate(str(bert), "encoder"), CPU, "mean"), saved, "# a card\n")
    return saved


@pytest.fixture(scope="module")
def mask_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model of the same vocabulary: the first with other weights."""
    encoder = loading.encoder(catalog.locate(str(folder), "encoder"), CPU, "mean")
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in encoder.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=generator)
    saved = tmp_path_factory.mktemp("models") / "mask"
    checkpoint.save(encoder, saved, "# a card\n")
    return saved


def recipe(**values: Any) -> Recipe:
    given = {"tau": 0.05, "sigma": None, "train_batch": len(TRIPLETS), "epochs": 1, "lr": 1e-3, "max_length": 64}
    return Recipe(**{**given, "seed": 1, "dtype": "float32", **values})


def mask_vectors(mask_folder: Path) -> MaskVectors:
    encoder = loading.encoder(catalog.locate(str(mask_folder), "encoder"), CPU, "mean")
    return MaskVectors(*(normalised(encoder.encode(list(side))) for side in zip(*TRIPLETS, strict=True)))


Taken = tuple[float, dict[str, Tensor]]  # the loss of a step, and its gradients by the name of the weight


def our_step(folder: Path, given: Recipe, examples: Sequence[Sequence[str]], **more: Any) -> Taken:
    """The loss of our own first step over `examples`, and the gradients that its optimiser was given."""
    encoder = loading.encoder(catalog.locate(str(folder), "encoder"), CPU, "mean")
    training = Training(encoder, examples, more.pop("mask", None), given, **more)
    step = next(training.steps())
    gradients = {name: weight.grad for name, weight in encoder.backbone.named_parameters() if weight.grad is not None}
    table = torch.zeros_like(encoder.words.weight)
    assert training.used is not None
    assert training.words.grad is not None
    table[training.used] = training.words.grad
    return step.loss, {**gradients, "embeddings.word_embeddings.weight": table}


def features(model: Any, columns: Sequence[Sequence[str]]) -> list[dict[str, Tensor]]:
    return [model.preprocess(list(column)) for column in columns]


def by_hand(model: Any, loss: Any, columns: Sequence[Sequence[str]], labels: Tensor | None) -> Taken:
    """What a training loop of one's own does: the loss of a batch, and its gradients, cut to the field's norm."""
    model.train().zero_grad()
    value = loss(features(model, columns), labels)
    value.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
    named = model[0].auto_model.named_parameters()
    return float(value.detach()), {name: weight.grad for name, weight in named if weight.grad is not None}


def assert_same(ours: Taken, theirs: Taken) -> None:
    assert theirs[0] == pytest.approx(ours[0], rel=1e-5)
    assert theirs[1].keys() == ours[1].keys()
    assert any(float(gradient.abs().max()) > 1e-3 for gradient in ours[1].values())
    for name, gradient in ours[1].items():
        torch.testing.assert_close(theirs[1][name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def sides(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [list(column) for column in zip(*rows, strict=True)]


def test_a_step_of_their_trainer_is_a_step_of_ours(folder: Path, mask_folder: Path, tmp_path: Path) -> None:
    """MultiCSR's loss with a mask that masks: the same loss, and the same gradients before the optimiser."""
    datasets = pytest.importorskip("datasets")
    from transformers import TrainerCallback

    model, gradients = SentenceTransformer(str(folder), device="cpu"), dict[str, Tensor]()

    class Look(TrainerCallback):
        def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
            named = model[0].auto_model.named_parameters()
            gradients.update({name: weight.grad.clone() for name, weight in named if weight.grad is not None})

    arguments = sentence_transformers.SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path / "out"),
        per_device_train_batch_size=len(TRIPLETS),
        max_steps=1,
        max_grad_norm=GRADIENT_NORM,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = sentence_transformers.SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=datasets.Dataset.from_dict(dict(zip(COLUMNS, sides(TRIPLETS), strict=True))),
        loss=MaskedContrastiveLoss(model, SentenceTransformer(str(mask_folder), device="cpu"), SIGMA, 0.05),
        callbacks=[Look()],
    )
    loss = trainer.train().training_loss
    ours = our_step(folder, recipe(sigma=SIGMA), TRIPLETS, mask=mask_vectors(mask_folder))
    assert ours[0] != pytest.approx(our_step(folder, recipe(), TRIPLETS)[0], rel=1e-3)  # the mask masks
    assert_same(ours, (loss, gradients))


@pytest.mark.parametrize("way", ["model", "vectors", "none"])
def test_the_masked_loss_is_ours(folder: Path, mask_folder: Path, way: str) -> None:
    model = SentenceTransformer(str(folder), device="cpu")
    vectors = mask_vectors(mask_folder)
    texts = [text for side in sides(TRIPLETS) for text in side]
    every = np.concatenate([vectors.premise, vectors.entailment, vectors.contradiction])
    mask_model = {
        "model": SentenceTransformer(str(mask_folder), device="cpu"),
        "vectors": dict(zip(texts, 3 * every, strict=True)),  # of whatever length
        "none": None,
    }[way]
    given = recipe(sigma=None if way == "none" else SIGMA)
    ours = our_step(folder, given, TRIPLETS, mask=None if way == "none" else vectors)
    assert_same(ours, by_hand(model, MaskedContrastiveLoss(model, mask_model, SIGMA), sides(TRIPLETS), None))


def test_a_mask_model_of_another_vocabulary_reads_the_text(folder: Path, mask_folder: Path) -> None:
    """Its tokenizer has a word more; the texts that ids spell are those that were given."""
    other = SentenceTransformer(str(mask_folder), device="cpu")
    other.tokenizer.add_tokens(["zyzzyva"])
    model = SentenceTransformer(str(folder), device="cpu")
    columns = features(model, sides(TRIPLETS))
    same = MaskedContrastiveLoss(model, SentenceTransformer(str(mask_folder), device="cpu"), SIGMA)(columns)
    assert float(MaskedContrastiveLoss(model, other, SIGMA)(columns).detach()) == pytest.approx(float(same.detach()))


@pytest.mark.parametrize("own", ["place", "premise"])
def test_an_anchors_own_hypotheses_are_never_masked(folder: Path, mask_folder: Path, own: str) -> None:
    """With a sigma that finds every text similar, what is left are the hypotheses of its place, or of equal anchors."""
    model = SentenceTransformer(str(folder), device="cpu")
    loss = MaskedContrastiveLoss(model, SentenceTransformer(str(mask_folder), device="cpu"), sigma=-1.0, own=own)
    columns = features(model, sides(TRIPLETS))
    anchors = sides(TRIPLETS)[0]
    same = torch.tensor([[anchor == other for other in anchors] for anchor in anchors])
    assert same.sum() == len(anchors) + 2
    masked = ~(same if own == "premise" else torch.eye(len(anchors), dtype=torch.bool)).repeat(1, 2)
    premise, hypotheses = loss.encoded(columns)
    cosine = torch.nn.functional.cosine_similarity(premise[:, None], hypotheses[None], dim=-1) / 0.05
    expected = -(cosine.diagonal() - cosine.masked_fill(masked, -torch.inf).logsumexp(1)).mean()
    assert float(loss(columns).detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


@pytest.mark.parametrize("given", [{"sigma": 0.7}, {"margin": -0.3}])
def test_sentences_are_masked_as_by_our_own_training(folder: Path, mask_folder: Path, given: dict[str, float]) -> None:
    """Unsupervised SimCSE, of which one sentence stands in the batch twice; a margin of cosine 1 - 0.3 or a sigma."""
    model = SentenceTransformer(str(folder), device="cpu")
    sentences = [TEXTS[0], *TEXTS[:8]]
    encoder = loading.encoder(catalog.locate(str(mask_folder), "encoder"), CPU, "mean")
    vectors = MaskVectors(normalised(encoder.encode(sentences)))
    loss = MaskedContrastiveLoss(model, SentenceTransformer(str(mask_folder), device="cpu"), **given)
    names = {"sigma": given.get("sigma"), "sigma_margin": given.get("margin")}
    wanted = recipe(objective="simcse-unsup", train_batch=9, own="place", **names)
    ours = our_step(folder, wanted, [(text,) for text in sentences], mask=vectors)
    assert_same(ours, by_hand(model, loss, [sentences], None))


def test_the_loss_of_a_model_that_computes_in_bfloat16_is_in_float32(folder: Path, mask_folder: Path) -> None:
    model = SentenceTransformer(str(folder), device="cpu").eval()
    loss = MaskedContrastiveLoss(model, SentenceTransformer(str(mask_folder), device="cpu"), SIGMA)
    columns, vectors = features(model, sides(TRIPLETS)), mask_vectors(mask_folder)
    own = own_hypotheses(torch.arange(len(TRIPLETS)), 2 * len(TRIPLETS), "place")
    hypotheses_p = torch.from_numpy(np.concatenate([vectors.entailment, vectors.contradiction]))
    masked = false_negatives(torch.from_numpy(vectors.premise), hypotheses_p, own, SIGMA)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(columns)
        premise, hypotheses = loss.encoded(columns)
    exact = masked_contrastive_loss(premise, hypotheses, masked, 0.05)
    assert value.dtype == torch.float32
    assert float(value.detach()) == pytest.approx(float(exact.detach()), rel=1e-6)


def test_the_other_losses_are_ours(folder: Path, mask_folder: Path) -> None:
    """SimCSE of sentences and of triplets, RankCSE's two rankings, CLHAIF's two and CLAIF's."""
    model = SentenceTransformer(str(folder), device="cpu")
    teacher = SentenceTransformer(str(mask_folder), device="cpu")
    vectors = mask_vectors(mask_folder)
    taught = [vectors.premise, vectors.entailment, vectors.contradiction]
    sentences, pairs = [(text,) for text in TEXTS[:6]], [triplet[:2] for triplet in TRIPLETS]
    own, similar = torch.from_numpy(SCORES[:, 0].copy()), SCORES[:, :1].copy()
    simcse, scored = recipe(objective="simcse"), [recipe(objective="clhaif", clhaif=way) for way in ("positive", "all")]
    ranked = [recipe(objective="simcse", rank=by) for by in ("listnet", "listmle")]
    claif = recipe(objective="claif", tau=None)
    for loss, rows, labels, ours in [
        (SimCSELoss(model), TRIPLETS, None, our_step(folder, simcse, TRIPLETS)),
        (SimCSELoss(model), sentences, None, our_step(folder, recipe(objective="simcse-unsup"), sentences)),
        (RankCSELoss(model, teacher), TRIPLETS, None, our_step(folder, ranked[0], TRIPLETS, teacher=taught)),
        (RankCSELoss(model, teacher, "listmle"), TRIPLETS, None, our_step(folder, ranked[1], TRIPLETS, teacher=taught)),
        (ScoredContrastiveLoss(model), TRIPLETS, own, our_step(folder, scored[0], TRIPLETS, labels=SCORES)),
        (
            ScoredContrastiveLoss(model, others=True),
            TRIPLETS,
            own,
            our_step(folder, scored[1], TRIPLETS, labels=SCORES),
        ),
        (SimilarityLoss(model), pairs, own, our_step(folder, claif, pairs, labels=similar)),
    ]:
        assert_same(ours, by_hand(model, loss, sides(rows), labels))


def test_what_cannot_be_learned_from_is_refused(folder: Path) -> None:
    model = SentenceTransformer(str(folder), device="cpu")
    columns = features(model, sides(TRIPLETS))
    for loss, labels, read, says in [
        (
            MaskedContrastiveLoss(model),
            None,
            columns[:2],
            "reads .sentence. or .anchor, positive, negative., and the data set has 2",
        ),
        (SimilarityLoss(model), None, columns[:2], "learns from labels, and the data set has none"),
        (SimilarityLoss(model), torch.tensor([0.5, 5.0]), columns[:2], "a label of the batch is 5"),
        (MaskedContrastiveLoss(model, {TEXTS[0]: [1.0, 0.0]}), None, columns, "a text of the batch has no vector"),
    ]:
        with pytest.raises(Problem, match=says):
            loss(read, labels)
    with pytest.raises(Problem, match="cannot be the frozen one"):
        MaskedContrastiveLoss(model, model)
    with pytest.raises(Problem, match="ranks by 'listless'"):
        RankCSELoss(model, {}, by="listless")


def test_the_package_loads_no_torch_and_the_losses_no_sentence_transformers() -> None:
    code = "import sys, multicsr; assert 'torch' not in sys.modules; import multicsr.losses; "
    code += "sys.exit('sentence_transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
