"""Every objective's loss against loops over its equation, one term at a time in float64; and the training that uses it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from stages.models import catalog, checkpoint, loading
from stages.models.encoder.model import Encoder, normalised
from stages.models.training import loss
from stages.models.training.fit import MaskVectors, Recipe, Training
from stages.models.training.mask import false_negatives, own_hypotheses, released_mask
from stages.models.training.ranks import Ranks

CPU = torch.device("cpu")
WIDTH = 5


@dataclass
class Batch:
    """Vectors h and mask vectors p of N triplets (x, then x+, then x-), and the AI's similarities of their pairs. `text`
    names the texts of the hypotheses, where some are equal."""

    h: Tensor  # (3N, d)
    p: Tensor  # (3N, w), length 1
    labels: Tensor  # (N, 2): (x, x+) and (x, x-)
    tau: float
    sigma: float
    text: Sequence[str] = ()  # 2N

    @property
    def n(self) -> int:
        return len(self.labels)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    n = draw(st.integers(1, 6))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    h = torch.randn(3 * n, WIDTH, generator=generator)
    if draw(st.booleans()):  # hypotheses that are their premise: the softmax of a row is near 0 and 1
        h[n : 2 * n] = h[:n]
    if draw(st.booleans()):
        h[2 * n :] = h[:n]
    p = functional.normalize(torch.randn(3 * n, 3, generator=generator), dim=-1)
    labels = torch.rand(n, 2, generator=generator)
    if draw(st.booleans()):
        labels = labels.round()  # 0 and 1 themselves
    batch = Batch(h, p, labels, draw(st.sampled_from([0.05, 0.1, 0.5, 1.0])), draw(st.floats(-1, 1)))
    assume((p[:n] @ p[n:].T - batch.sigma).abs().min() > 1e-5)  # where rounding decides, the loops may differ
    return batch


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum() / (a * a).sum().sqrt() / (b * b).sum().sqrt()


def log_p(logits: Sequence[Tensor], column: int) -> Tensor:
    return logits[column] - torch.stack(list(logits)).logsumexp(0)


def columns(batch: Batch, h: Tensor, i: int) -> list[Tensor]:
    """cos(h_i, h_k^s)/tau: all x_k+, then all x_k-."""
    return [cosine(h[i], h[batch.n + column]) / batch.tau for column in range(2 * batch.n)]


def is_masked_in_released_code(batch: Batch, i: int, column: int) -> bool:
    """Above sigma, and not the premise's own x+; its own x- is no exception."""
    return column != i and float(cosine(batch.p[i].double(), batch.p[batch.n + column].double())) > batch.sigma


def released(batch: Batch, h: Tensor) -> Tensor:
    cells = []
    for i in range(batch.n):
        logits = [
            term * 0 if is_masked_in_released_code(batch, i, column) else term
            for column, term in enumerate(columns(batch, h, i))
        ]
        for column in range(2 * batch.n):
            if column == i:
                cells.append(-log_p(logits, column))
            else:  # log(1 - p) as the share of all other cells: exact also where p is all but 1
                rest = torch.stack(logits[:column] + logits[column + 1 :]).logsumexp(0)
                cells.append(-(rest - torch.stack(logits).logsumexp(0)))
    return torch.stack(cells).mean()


def simcse(batch: Batch, h: Tensor) -> Tensor:
    return torch.stack([-log_p(columns(batch, h, i), i) for i in range(batch.n)]).mean()


def unsupervised(batch: Batch, h: Tensor) -> Tensor:
    """h and h' are the first two thirds."""
    losses = []
    for i in range(batch.n):
        logits = [cosine(h[i], h[batch.n + k]) / batch.tau for k in range(batch.n)]
        losses.append(-log_p(logits, i))
    return torch.stack(losses).mean()


def is_masked(batch: Batch, i: int, column: int) -> bool:
    """M_iks = 0 (eq. 6): at sigma or above, and not of the premise's own place; or the own positive's text again."""
    if column != i and batch.text and batch.text[column] == batch.text[i]:
        return True
    is_own = column % batch.n == i
    return not is_own and float(cosine(batch.p[i].double(), batch.p[batch.n + column].double())) >= batch.sigma


def clhaif(batch: Batch, h: Tensor, others: bool, mask: bool = False) -> Tensor:
    losses = []
    for i in range(batch.n):
        left = [c for c in range(2 * batch.n) if not (mask and is_masked(batch, i, c))]
        logits, s = [columns(batch, h, i)[c] for c in left], float(batch.labels[i, 0])
        total = -s * log_p(logits, left.index(i))
        if others:
            for place, column in enumerate(left):
                if column != i:
                    total = total - (1 - s) / (len(left) - 1) * log_p(logits, place)
        losses.append(total)
    return torch.stack(losses).mean()


def unsupervised_masked(batch: Batch, h: Tensor) -> Tensor:
    """Sentences x read twice, h and h'; P sees each once."""
    losses = []
    for i in range(batch.n):
        near = [float(cosine(batch.p[i].double(), batch.p[k].double())) >= batch.sigma for k in range(batch.n)]
        left = [k for k in range(batch.n) if k == i or not near[k]]
        logits = [cosine(h[i], h[batch.n + k]) / batch.tau for k in left]
        losses.append(-log_p(logits, left.index(i)))
    return torch.stack(losses).mean()


def claif(batch: Batch, h: Tensor) -> Tensor:
    pairs = [
        (cosine(h[i], h[(1 + s) * batch.n + i]) - float(batch.labels[i, s])) ** 2
        for s in range(2)
        for i in range(batch.n)
    ]
    return torch.stack(pairs).mean()


def shares(logits: Sequence[Tensor]) -> list[Tensor]:
    return [log_p(logits, column).exp() for column in range(len(logits))]


def ranked(batch: Batch, h: Tensor, by: str) -> Tensor:
    """RankCSE's two terms, the list of a premise its columns without its own x+; the teacher is p."""
    consistency, distillation = [], []
    for i in range(batch.n):
        forth = shares(columns(batch, h, i)[: batch.n])
        back = shares([cosine(h[batch.n + i], h[k]) / batch.tau for k in range(batch.n)])
        for p, q in zip(forth, back, strict=True):
            r = (p + q) / 2
            consistency.append((p * (p / r).log() + q * (q / r).log()) / 2)
        others = [c for c in range(2 * batch.n) if c != i]
        student = [cosine(h[i], h[batch.n + c]) / 0.05 for c in others]
        taught = [cosine(batch.p[i].double(), batch.p[batch.n + c].double()) for c in others]
        if by == "listnet":
            target = shares([value / 0.025 for value in taught])
            distillation += [-target[c] * log_p(student, c) for c in range(len(others))]
        else:
            left = sorted(range(len(others)), key=lambda c: -float(taught[c]))
            while left:
                distillation.append(-log_p([student[c] for c in left], 0) / len(others))
                left = left[1:]
    return (torch.stack(consistency).sum() + torch.stack(distillation).sum()) / batch.n


def own_place(n: int) -> Tensor:
    return own_hypotheses(torch.arange(n), 2 * n, "place")


def apart(batch: Batch, h: Tensor) -> tuple[Tensor, Tensor]:
    return h[: batch.n], h[batch.n :]


def fast_released(batch: Batch, h: Tensor) -> Tensor:
    masked = released_mask(*apart(batch, batch.p), own_place(batch.n), batch.sigma)
    return loss.released_loss(*apart(batch, h), masked, batch.tau)


def fast_unsupervised_masked(batch: Batch, h: Tensor) -> Tensor:
    p = batch.p[: batch.n]
    masked = false_negatives(p, p, own_hypotheses(torch.arange(batch.n), batch.n, "place"), batch.sigma)
    return loss.masked_contrastive_loss(h[: batch.n], h[batch.n : 2 * batch.n], masked, batch.tau)


def fast_clhaif(batch: Batch, h: Tensor, others: bool, mask: bool = False) -> Tensor:
    masked = false_negatives(*apart(batch, batch.p), own_place(batch.n), batch.sigma) if mask else None
    return loss.scored_contrastive_loss(*apart(batch, h), masked, batch.labels[:, 0], batch.tau, others)


def fast_ranked(batch: Batch, h: Tensor, by: str) -> Tensor:
    x, hypotheses = apart(batch, h)
    teacher = batch.p[: batch.n] @ batch.p[batch.n :].T
    plain = loss.masked_contrastive_loss(x, hypotheses, None, batch.tau)
    return plain + loss.ranking_loss(x, hypotheses, teacher, batch.tau, by)


Loss = Callable[[Batch, Tensor], Tensor]
LOSSES: dict[str, tuple[Loss, Loss]] = {
    "multicsr-released": (fast_released, released),
    "simcse": (lambda b, h: loss.masked_contrastive_loss(*apart(b, h), None, b.tau), simcse),
    "simcse-unsup": (
        lambda b, h: loss.masked_contrastive_loss(h[: b.n], h[b.n : 2 * b.n], None, b.tau),
        unsupervised,
    ),
    "simcse-unsup masked": (fast_unsupervised_masked, unsupervised_masked),
    **{
        f"clhaif {way}{' masked' * mask}": (
            partial(fast_clhaif, others=way == "all", mask=mask),
            partial(clhaif, others=way == "all", mask=mask),
        )
        for way in ("positive", "all")
        for mask in (False, True)
    },
    "claif": (lambda b, h: loss.similarity_loss(*apart(b, h), b.labels.T.flatten()), claif),
    **{
        f"simcse {by}": (partial(fast_ranked, by=by), lambda b, h, by=by: simcse(b, h) + ranked(b, h, by))
        for by in ("listnet", "listmle")
    },
}


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=40)
@given(batch=batches())
def test_the_loss_and_its_gradient_equal_the_loops(name: str, batch: Batch) -> None:
    """For any N, tau, sigma and labels; the fast side is float32, so logits of 1/tau carry as much less precision."""
    fast, slow = LOSSES[name]
    h, exact = batch.h.clone().requires_grad_(), batch.h.double().requires_grad_()
    found, expected = fast(batch, h), slow(batch, exact)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-5)
    found.backward()
    expected.backward()
    assert h.grad is not None
    assert exact.grad is not None
    size = max(1.0, float(exact.grad.abs().max()))
    assert float((h.grad.double() - exact.grad).abs().max()) <= 2e-6 * size * max(1.0, 0.25 / batch.tau)


@given(batches())
def test_the_released_mask_equals_the_loops(batch: Batch) -> None:
    found = released_mask(*apart(batch, batch.p), own_place(batch.n), batch.sigma)
    assert found.dtype == torch.bool
    expected = [[is_masked_in_released_code(batch, i, column) for column in range(2 * batch.n)] for i in range(batch.n)]
    assert found.tolist() == expected


def test_the_released_mask_can_hit_a_premises_own_contradiction_and_the_papers_cannot() -> None:
    axes = torch.eye(2)
    hypotheses = torch.cat([axes, axes])  # x+ and x- of each premise are the premise
    assert released_mask(axes, hypotheses, own_place(2), 0.9).tolist() == [
        [False, False, True, False],
        [False, False, False, True],
    ]
    assert not false_negatives(axes, hypotheses, own_place(2), 0.9).any()


def test_a_cell_masked_in_the_released_way_still_takes_probability() -> None:
    """exp(0) in the denominator: one premise, its x+ at cosine 1, its masked x- at cosine 1 as well."""
    x = torch.tensor([[1.0, 0.0]])
    found = loss.released_loss(x, x.repeat(2, 1), torch.tensor([[False, True]]), tau=0.5)
    p = math.exp(2) / (math.exp(2) + 1)  # what is left of the masked cell is exp(0)
    assert found.item() == pytest.approx(-(math.log(p) + math.log(1 - (1 - p))) / 2, abs=1e-6)
    paper = loss.masked_contrastive_loss(x, x.repeat(2, 1), torch.tensor([[False, True]]), tau=0.5)
    assert paper.item() == 0.0


def test_the_released_loss_stays_finite_where_a_negative_is_all_that_is_likely() -> None:
    """p of the contradiction is 1 to the last bit of float32; log(1 - p) is -40 and its gradient a number."""
    x = torch.tensor([[1.0, 0.0]])
    h = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    found = loss.released_loss(x, h, None, tau=0.05)
    found.backward()
    assert found.item() == pytest.approx(40.0)
    assert h.grad is not None
    assert h.grad.isfinite().all()


@given(batches())
def test_a_score_of_one_is_supervised_simcse(batch: Batch) -> None:
    """Both variants of CLHAIF."""
    expected = loss.masked_contrastive_loss(*apart(batch, batch.h), None, batch.tau).item()
    for others in (False, True):
        found = loss.scored_contrastive_loss(*apart(batch, batch.h), None, torch.ones(batch.n), batch.tau, others)
        assert found.item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


TEXTS = tiny.CORPUS
TRIPLETS = [(TEXTS[i], TEXTS[i + 11], TEXTS[i + 6]) for i in range(10)]
LABELS = np.array([[(i % 5) / 4, (i % 3) / 4] for i in range(10)], dtype=np.float32)
OBJECTIVES = ("multicsr", *LOSSES, "multicsr listnet", "simcse-unsup listmle")


def has_mask(name: str) -> bool:
    return name.startswith("multicsr") or name.endswith(" masked")


def recipe(name: str, **values: Any) -> Recipe:
    objective, _, variant = name.removesuffix(" masked").partition(" ")
    rank = variant if variant.startswith("list") else None
    sigma = 0.9 if has_mask(name) else None
    settings: dict[str, Any] = {
        "dtype": "float32",
        "train_batch": 4,
        "epochs": 2,
        "lr": 1e-3,
        "max_length": 24,
        "seed": 3,
        **values,
    }
    tau = None if objective == "claif" else 0.05
    return Recipe(
        tau=tau,
        sigma=sigma,
        objective=objective,
        clhaif=None if rank else variant or None,
        rank=rank,
        **settings,
    )


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_tiny_bert(tmp_path_factory.mktemp("encoder") / "bert")


def base(bert: Path, pooler: str = "mean", mlp_in_training: bool = False) -> Encoder:
    return loading.trainable(catalog.locate(str(bert), "encoder"), CPU, pooler, 3, mlp_in_training)


def taught(bert: Path) -> Encoder:
    return loading.encoder(catalog.locate(str(bert), "encoder"), CPU, "mean")


def training(
    bert: Path, name: str, encoder: Encoder, chunk: int | None = None, ranks: Ranks | None = None, **values: Any
) -> Training:
    labels = LABELS if name.startswith("cl") else None
    examples: list[tuple[str, ...]] = [(x,) for x, _, _ in TRIPLETS] if "unsup" in name else list(TRIPLETS)
    by_guide = [normalised(taught(bert).encode(column)) for column in zip(*examples, strict=True)]
    mask = MaskVectors(*by_guide) if has_mask(name) else None
    teacher = by_guide if " list" in name else None
    return Training(encoder, examples, mask, recipe(name, **values), labels, teacher, chunk, ranks)


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_of_a_step_is_that_of_its_examples(bert: Path, name: str) -> None:
    """The first step, all ten triplets at once, without dropout: the loops over the vectors that `encode` gives."""
    encoder = base(bert)
    for part in encoder.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    going = training(bert, name, encoder, train_batch=10)
    sides = [encoder.encode(column) for column in zip(*TRIPLETS, strict=True)]
    if name.startswith("simcse-unsup"):
        sides = [sides[0], sides[0], sides[0]]
    h = torch.from_numpy(np.concatenate(sides)).double()
    by_guide = [normalised(taught(bert).encode(column)) for column in zip(*TRIPLETS, strict=True)]
    text = [triplet[side] for side in (1, 2) for triplet in TRIPLETS]
    batch = Batch(h, torch.from_numpy(np.concatenate(by_guide)), torch.from_numpy(LABELS), 0.05, 0.9, text)
    step = next(going.steps())
    assert step.loss == pytest.approx(LOSSES[name][1](batch, h).item(), abs=1e-4)
    if not has_mask(name):
        assert step.masked_share == 0
        return
    if name.startswith("simcse-unsup"):
        near = by_guide[0] @ by_guide[0].T >= 0.9
        assert step.masked_share == pytest.approx(near[~np.eye(10, dtype=bool)].mean())
    else:
        is_hit = is_masked_in_released_code if name == "multicsr-released" else is_masked
        masked = [is_hit(batch, i, column) for i in range(10) for column in range(20)]
        assert step.masked_share == pytest.approx(sum(masked) / (10 * 19))
    assert step.masked_share > 0


def test_a_sentence_stands_in_a_batch_twice_under_two_draws_of_dropout(bert: Path) -> None:
    """The same row, two vectors: else the loss would be that of equal ones."""
    first = next(training(bert, "simcse-unsup", base(bert), train_batch=10).steps())
    quiet = base(bert)
    for part in quiet.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    assert first.loss > next(training(bert, "simcse-unsup", quiet, train_batch=10).steps()).loss


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_training_teaches(bert: Path, name: str) -> None:
    """Forty epochs over ten triplets: the loss falls by a twentieth at least.

    No further for all: `clhaif all` has the entropy of its labels for a floor.
    """
    steps = list(training(bert, name, base(bert), epochs=40, lr=3e-3, train_batch=10).steps())
    before, after = (np.mean([step.loss for step in part]) for part in (steps[:3], steps[-3:]))
    assert after < 0.95 * before


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_restored_training_walks_the_same_road_to_the_last_bit(bert: Path, tmp_path: Path, name: str) -> None:
    """With the MLP that is there in training only, too."""

    def make() -> Training:
        return training(bert, name, base(bert, "cls_before_pooler", mlp_in_training=True))

    whole = make()
    expected = list(whole.steps())
    first = make()
    begun = [next(first.steps()), next(first.steps())]
    checkpoint.save_state(first.state(), tmp_path / "resume")
    second = make()
    torch.rand(7)
    second.restore(checkpoint.load_state(tmp_path / "resume", CPU))
    assert begun + list(second.steps()) == expected
    found, wanted = second.encoder.state_dict(), whole.encoder.state_dict()
    assert "mlp.weight" in found
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], wanted[key]) for key in found)


def test_an_mlp_that_is_there_in_training_only_is_dropped_at_test(bert: Path, tmp_path: Path) -> None:
    """[CLS] as it is: in `encode`, in the folder that is written, and after loading it again."""
    encoder = base(bert, "cls_before_pooler", mlp_in_training=True)
    rows = encoder.ids(TEXTS[:3])
    assert encoder.mlp is not None
    start = encoder.mlp.weight.clone()
    list(training(bert, "simcse-unsup", encoder).steps())
    assert not torch.equal(encoder.mlp.weight, start)  # it was trained
    encoder.eval()
    with torch.no_grad():
        hidden = encoder.backbone(input_ids=torch.tensor([rows[0]])).last_hidden_state[0, 0]
    vectors = encoder.encode(TEXTS[:3])
    np.testing.assert_allclose(vectors[0], hidden.numpy(), atol=1e-5)
    checkpoint.save(encoder, tmp_path / "saved", "# a card\n")
    again = loading.encoder(catalog.locate(str(tmp_path / "saved"), "encoder"), CPU)
    assert (again.pooler, again.mlp) == ("cls_before_pooler", None)
    np.testing.assert_allclose(again.encode(TEXTS[:3]), vectors, atol=1e-6)
