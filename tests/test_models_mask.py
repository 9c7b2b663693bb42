"""The mask of a batch and of a training, against loops over texts and cosines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from stages.models import catalog, loading
from stages.models.encoder.model import normalised
from stages.models.training import survey
from stages.models.training.fit import Training
from stages.models.training.loss import masked_contrastive_loss
from stages.models.training.mask import Mask, MaskRule, MaskVectors, text_digests
from stages.models.training.recipe import Recipe, batches

CPU = torch.device("cpu")
RECIPE = Recipe(
    tau=0.05, sigma=0.9, train_batch=4, epochs=2, lr=1e-3, max_length=24, seed=3, dtype="float32", own="place"
)
WORDS = st.sampled_from("abcdefg")


@dataclass
class Corpus:
    """Examples of one or three texts; equal texts have equal vectors."""

    examples: list[tuple[str, ...]]
    p: dict[str, np.ndarray]

    @property
    def width(self) -> int:
        return len(self.examples[0])

    @property
    def vectors(self) -> MaskVectors:
        return MaskVectors(
            *(np.stack([self.p[text] for text in column]) for column in zip(*self.examples, strict=True))
        )

    @property
    def texts(self) -> Tensor:
        return text_digests(self.examples, self.width)

    def mask(self, rule: MaskRule) -> Mask:
        return Mask(rule, self.vectors, self.texts)

    def hypotheses(self, places: list[int]) -> list[tuple[int, str]]:
        """The columns of a batch: the place of each and its text."""
        if self.width == 1:
            return [(place, self.examples[place][0]) for place in places]
        return [(place, self.examples[place][side]) for side in (1, 2) for place in places]

    def is_masked(self, rule: MaskRule, places: list[int], i: int, column: int) -> bool:
        """Eq. 6-7 read off the texts, with duplicates of the positive and a threshold that may follow it."""
        other, text = self.hypotheses(places)[column]
        premise = self.examples[places[i]][0]
        positive = self.examples[places[i]][min(1, self.width - 1)]
        if column != i and text == positive:
            return True
        k = column % len(places)
        if k == i or (rule.own == "premise" and self.examples[other][0] == premise):
            return False
        least = rule.sigma if rule.margin is None else float(self.p[premise] @ self.p[positive]) + rule.margin
        return float(self.p[premise] @ self.p[text]) >= least


@st.composite
def corpora(draw: st.DrawFn) -> Corpus:
    width = draw(st.sampled_from([1, 3]))
    examples = draw(st.lists(st.tuples(*[WORDS] * width), min_size=1, max_size=9))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    return Corpus(
        examples, {word: normalised(generator.normal(size=(1, 3)).astype(np.float32))[0] for word in "abcdefg"}
    )


RULES = st.builds(
    lambda threshold, is_margin, own: MaskRule(None if is_margin else threshold, threshold if is_margin else None, own),
    st.floats(-1, 1),
    st.booleans(),
    st.sampled_from(["place", "premise"]),
)


def is_clear(corpus: Corpus, rule: MaskRule) -> bool:
    """No cosine lies where rounding decides."""
    for premise, *rest in corpus.examples:
        own = float(corpus.p[premise] @ corpus.p[(rest or [premise])[0]])
        least = rule.sigma if rule.margin is None else own + rule.margin
        if any(abs(float(corpus.p[premise] @ vector) - least) < 1e-5 for vector in corpus.p.values()):
            return False
    return True


@given(corpora(), RULES)
def test_the_mask_equals_the_loops_over_texts(corpus: Corpus, rule: MaskRule) -> None:
    """For copies of a triplet, premises that come twice, sentences, each threshold and each reading of own."""
    assume(is_clear(corpus, rule))
    places = list(range(len(corpus.examples)))[::-1]
    found = corpus.mask(rule)(torch.tensor(places))
    assert found.tolist() == [
        [corpus.is_masked(rule, places, i, column) for column in range(found.shape[1])] for i in range(len(places))
    ]


@given(corpora(), RULES)
def test_the_own_positive_is_never_masked(corpus: Corpus, rule: MaskRule) -> None:
    assert not corpus.mask(rule)(torch.arange(len(corpus.examples))).diagonal().any()


def copied(count: int, copies: int) -> Corpus:
    """`count` unrelated triplets, of which the first stands there `copies` times; its entailment is like it to P."""
    axes = np.eye(3 * count, dtype=np.float32)
    p = {f"{side}{k}": axes[3 * k + n] for k in range(count) for n, side in enumerate(("x", "+", "-"))}
    p["+0"] = normalised((p["x0"] + 0.1 * p["+0"])[None])[0]
    triplets = [(f"x{k}", f"+{k}", f"-{k}") for k in range(count)]
    return Corpus([*triplets, *triplets[:1] * (copies - 1)], p)


def test_copies_of_a_triplet_are_masked_by_place_and_not_by_premise_but_for_duplicates_of_the_positive() -> None:
    """16 copies in a batch of 32: each finds the positives of 15 others, in either reading since their text is its own."""
    corpus = copied(17, 16)
    every = torch.arange(32)
    assert corpus.mask(MaskRule(0.9))(every).sum() == 16 * 15
    assert corpus.mask(MaskRule(0.9, own="premise"))(every).sum() == 16 * 15
    corpus.p["-0"] = corpus.p["x0"]  # P cannot tell the contradiction from the premise either
    assert corpus.mask(MaskRule(0.9))(every).sum() == 16 * 15 * 2
    assert corpus.mask(MaskRule(0.9, own="premise"))(every).sum() == 16 * 15


def test_with_copies_the_loss_can_fall_below_the_floor_of_their_number() -> None:
    """Of 256 copies the best unmasked loss is log 256 whatever is learned; masked, one that tells all apart has none."""
    corpus = copied(2, 256)
    h = torch.eye(6)
    numbers = {text: k for k, text in enumerate(["x0", "x1", "-0", "-1"])}
    numbers |= {"+0": numbers["x0"], "+1": numbers["x1"]}
    columns = [h[[numbers[example[side]] for example in corpus.examples]] for side in range(3)]
    masked = corpus.mask(MaskRule(0.9))(torch.arange(len(corpus.examples)))
    premise, hypotheses = columns[0], torch.cat(columns[1:])
    assert masked_contrastive_loss(premise, hypotheses, None, 0.05) > 0.9 * np.log(256)
    assert masked_contrastive_loss(premise, hypotheses, masked, 0.05) < 1e-3


def test_in_a_joined_corpus_the_hypotheses_of_an_equal_premise_can_be_masked() -> None:
    """T and N have the same premises (appendix G): by place P may call the one's entailment no negative of the other."""
    axes = np.eye(6, dtype=np.float32)
    near = normalised((axes[0] + 0.3 * axes[1])[None])[0]
    corpus = Corpus(
        [("x", "written", "no"), ("x", "labelled", "never")],
        {"x": axes[0], "written": near, "labelled": near, "no": axes[3], "never": axes[4]},
    )
    both = torch.arange(2)
    assert corpus.mask(MaskRule(0.9))(both).tolist() == [[False, True, False, False], [True, False, False, False]]
    assert not corpus.mask(MaskRule(0.9, own="premise"))(both).any()


@given(corpora(), st.floats(0.01, 1.0))
def test_a_quantile_masks_its_share_of_the_cross_pairs(corpus: Corpus, share: float) -> None:
    """The cosine of a share is the greatest one at or above which at least the rounded share of all pairs lie."""
    recipe = replace(RECIPE, epochs=1, train_batch=4)
    cross = survey.cross_pairs(corpus.vectors, corpus.texts, recipe, "place")
    slow = []
    for _, chosen in batches(recipe, len(corpus.examples)):
        places = chosen.tolist()
        columns = corpus.hypotheses(places)
        slow += [
            float(corpus.p[corpus.examples[places[i]][0]] @ corpus.p[text])
            for i in range(len(places))
            for column, (_, text) in enumerate(columns)
            if column % len(places) != i
        ]
    assert sorted(cross.cosines.tolist()) == pytest.approx(sorted(slow), abs=1e-6)
    if not slow:
        with pytest.raises(ValueError, match="no cross pairs"):
            cross.sigma(share)
        return
    wanted = max(1, round(share * len(slow)))
    sigma = cross.sigma(share)
    assert (cross.cosines >= sigma).sum() >= wanted
    assert (cross.cosines > sigma).sum() < wanted
    assert cross.share(sigma) == pytest.approx(sum(value >= sigma for value in cross.cosines) / len(slow))


@settings(max_examples=50)
@given(corpora(), RULES, st.integers(1, 40))
def test_the_pairs_that_a_training_masks_are_counted_as_the_loops_count_them(
    corpus: Corpus, rule: MaskRule, keep: int
) -> None:
    """Pairs of texts over all steps: each once a step, most often first, then the most similar."""
    assume(is_clear(corpus, rule))
    recipe, slow = replace(RECIPE, sigma=rule.sigma), Counter[tuple[str, str]]()
    for _, chosen in batches(recipe, len(corpus.examples)):
        places = chosen.tolist()
        slow.update(
            {
                (corpus.examples[places[i]][0], text)
                for i in range(len(places))
                for column, (_, text) in enumerate(corpus.hypotheses(places))
                if corpus.is_masked(rule, places, i, column)
            }
        )
    found, duplicates = survey.counted(corpus.mask(rule), recipe, keep)
    assert duplicates == sum(
        1
        for _, chosen in batches(recipe, len(corpus.examples))
        for i, place in enumerate(chosen.tolist())
        for column, (_, text) in enumerate(corpus.hypotheses(chosen.tolist()))
        if column != i and text == corpus.examples[place][min(1, corpus.width - 1)]
    )
    assert len(found) == min(keep, len(slow))
    for pair in found:
        premise, text = corpus.examples[pair.place][0], corpus.examples[pair.other][(corpus.width > 1) + pair.column]
        assert slow.pop((premise, text)) == pair.times
        assert pair.cosine == pytest.approx(float(corpus.p[premise] @ corpus.p[text]), abs=1e-5)
    assert [(-pair.times, -pair.cosine) for pair in found] == sorted((-pair.times, -pair.cosine) for pair in found)
    assert not slow or found[-1].times >= max(slow.values())


def test_what_is_counted_is_bounded_and_keeps_what_is_seen_most() -> None:
    """With room for four pairs at once, the pair of every step is still first, with its whole count."""
    corpus = copied(2, 39)
    recipe = replace(RECIPE, train_batch=8, epochs=3)
    mask = corpus.mask(MaskRule(0.9))
    assert survey.counted(mask, recipe, 1, most=4) == survey.counted(mask, recipe, 1)
    assert survey.counted(mask, recipe, 1).pairs[0].times == len(list(batches(recipe, len(corpus.examples))))


def test_what_is_removed_is_measured_on_whole_batches() -> None:
    corpus = copied(17, 16)
    mask = corpus.mask(MaskRule(0.9))
    recipe = replace(RECIPE, train_batch=32, epochs=2)
    assert survey.removed(mask, recipe, most=1) == (240, 32 * 63)
    assert survey.removed(mask, recipe) == (480, 2 * 32 * 63)
    assert survey.counted(mask, recipe, 1).duplicates == 480  # every one of them is the own positive's text
    corpus.p["-0"] = corpus.p["x0"]
    more = corpus.mask(MaskRule(0.9))
    assert (survey.removed(more, recipe).pairs, survey.counted(more, recipe, 1).duplicates) == (960, 480)


@pytest.mark.parametrize("own", ["place", "premise"])
@pytest.mark.parametrize("chunk", [None, 3])
def test_a_step_masks_what_the_loops_mask(tmp_path: Path, own: str, chunk: int | None) -> None:
    """On a tiny encoder, with copies, a joined corpus's equal premises and duplicates, whole and in parts."""
    tiny.save_tiny_bert(tmp_path / "bert")
    located = catalog.locate(str(tmp_path / "bert"), "encoder")
    texts = tiny.CORPUS
    triplets = [(texts[i], texts[i + 11], texts[i + 6]) for i in range(6)]
    triplets += [triplets[0], (texts[1], texts[20], texts[8]), (texts[2], texts[11], texts[9])]
    vectors = normalised(loading.encoder(located, CPU, "mean").encode(list(texts)))
    corpus = Corpus(triplets, dict(zip(texts, vectors, strict=True)))
    recipe = replace(RECIPE, sigma=0.97, own=own)
    going = Training(loading.trainable(located, CPU, "mean", 3), triplets, corpus.vectors, recipe, chunk=chunk)
    shares = []
    for _, chosen in batches(recipe, len(triplets)):
        places = chosen.tolist()
        masked = [
            corpus.is_masked(MaskRule(0.97, own=own), places, i, column)
            for i in range(len(places))
            for column in range(2 * len(places))
        ]
        shares.append(sum(masked) / (len(masked) - len(places)))
    assert [step.masked_share for step in going.steps()] == pytest.approx(shares)
    assert sum(shares) > 0
