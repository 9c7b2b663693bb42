"""Who judges, what is learned from and what is published, in the experiments: each beside a slow count of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from multicsr.paper import estimate
from multicsr.paper.experiments import baselines, f5, t1
from multicsr.paper.experiments.t2 import T2
from multicsr.paper.experiments.t5 import T5
from multicsr.paper.experiments.t9 import T9
from multicsr.paper.experiments.t11 import T11
from multicsr.paper.lab.lab import Lab
from multicsr.paper.lab.languages import Learned, learned
from multicsr.paper.lab.material import Material
from multicsr.paper.languages import SWAHILI, TAGALOG, Language, Multilingual
from multicsr.paper.node import in_order, node
from multicsr.paper.scales import SCALES, WIKIPEDIA
from stages.config.words import SCORERS
from stages.public import published
from stages.tasks import bitext, neighbours, sts
from store.database import Store
from store.read.triplets import ListedTriplet
from store.rows import training

MINI, PAPER = SCALES["mini"], SCALES["paper"]


def lab_of(folder: Path, name: str = "mini", data: Path | None = None) -> Lab:
    return Lab(Store.open(folder / "a.db"), SCALES[name], seeds=1, data=data, device="cpu", dtype="float32", batch=8)


def lines(path: Path, texts: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{text}\n" for text in texts))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten translations in each language, two of them twice; and Tagalog sentences, of which two are in the test."""
    folder = tmp_path / "data"
    for pair, own in (("tgl-eng", "tgl"), ("swh-eng", "swh")):
        first = [f"{own} {place % 9}" for place in range(10)]
        lines(folder / "tatoeba" / f"tatoeba.{pair}.{own}", first)
        lines(folder / "tatoeba" / f"tatoeba.{pair}.eng", [f"english {place % 9}" for place in range(10)])
    lines(folder / "ted2020" / "TED2020.en-tl.tl", ["bago 1", "tgl 3", "bago 2", "english 4", "bago 1"])
    return folder


def found_in(data: Path | None, written: Path, multilingual: Multilingual) -> Learned | None:
    return learned(data, Material(MINI, data, written).write, multilingual)


def test_a_file_of_sentences_is_learned_from_and_all_translations_are_the_test(tmp_path: Path, data: Path) -> None:
    for name in ("mini", "paper"):
        found = found_in(data, tmp_path / name, SCALES[name].multilingual)
        assert found is not None
        assert (found.language, found.halved) == (TAGALOG, False)
        assert found.sentences.read_text().splitlines() == ["bago 1", "bago 2"]
        assert found.tested == tuple(data / "tatoeba" / f"tatoeba.tgl-eng.{side}" for side in ("tgl", "eng"))


@pytest.mark.parametrize("language", [TAGALOG, SWAHILI])
def test_of_halves_none_is_both_learned_from_and_tested(tmp_path: Path, data: Path, language: Language) -> None:
    (data / "ted2020" / "TED2020.en-tl.tl").unlink()
    several = replace(MINI.multilingual, languages=(language,))
    found = found_in(data, tmp_path / "written", several)
    assert found is not None
    assert found.halved
    sentences = found.sentences.read_text().splitlines()
    own, english = (file.read_text().splitlines() for file in found.tested)
    assert len(sentences) == len(set(sentences)) == 4  # the first of five is in the test again
    assert len(own) == len(english) == 5
    assert not {*sentences} & {*own, *english}
    assert bitext.pair(*found.tested).sides == (language.translations[8:11], "eng")
    assert found_in(data, tmp_path / "written", replace(several, halves=False)) is None


def test_what_is_lacked_is_named_with_its_place(tmp_path: Path) -> None:
    for data in (None, tmp_path):
        said = T5.missing(Lab(Store.open(tmp_path / "a.db"), PAPER, seeds=1, data=data))
        assert said is not None
        assert "data=DIR with tatoeba/tatoeba.tgl-eng.* and ted2020/TED2020.en-tl.tl would do" in said
    said = T5.missing(lab_of(tmp_path))
    assert said is not None
    assert "ted2020" not in said


def test_shared_spelling_is_the_cosine_of_threes_of_characters() -> None:
    texts = ["Tom ate.", "tom ATE!", "", "x", "Kumain si Tom."]
    threes = [Counter(f" {text.casefold()} "[at : at + 3] for at in range(max(0, len(text)))) for text in texts]

    def cosine(one: Counter[str], other: Counter[str]) -> float:
        inner = sum(count * other[three] for three, count in one.items())
        lengths = [sum(count**2 for count in counts.values()) ** 0.5 for counts in (one, other)]
        return inner / (lengths[0] * lengths[1]) if all(lengths) else 0.0

    vectors = neighbours.unit(bitext.by_spelling(texts))
    expected = [[cosine(one, other) for other in threes] for one in threes]
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-6)


@pytest.mark.parametrize("scale", [MINI, PAPER], ids=lambda scale: scale.name)
def test_what_an_llm_wrote_is_judged_by_a_model_that_is_none(scale: object) -> None:
    """Neither f5's acceptance nor t12's similarities ask the writer, nor any LLM."""
    assert isinstance(scale, type(MINI))
    kind, _, model = scale.judge.partition(":")
    assert kind in SCORERS
    assert model not in (scale.llm, *scale.scorers)
    lab_scale = scale.judgement(scale.gen(0.3))
    assert (lab_scale.stage, lab_scale["by"]) == ("score", scale.judge)


def test_f5_accepts_what_copies_nothing_and_scores_in_order() -> None:
    def row(entailment: str, contradiction: str, a: float | None, b: float | None) -> ListedTriplet:
        return ListedTriplet("A bus stops.", entailment, contradiction, a, b, None, None, 1)

    rows = [
        row("It halts.", "It goes.", 4.0, 1.0),
        row("It halts.", "It goes.", 1.0, 1.0),
        row("a BUS stops", "It goes.", 5.0, 1.0),
        row("It halts.", "It drives.", 0.1, None),
    ]
    judged = f5._judged(0.3, rows)
    assert judged.accepted.tolist() == [100.0, 0.0, 0.0, 0.0]
    assert judged.copied.tolist() == [[False, False], [False, False], [True, False], [False, False]]
    assert judged.distinct == 50.0


def test_t1_reads_every_llm_with_and_without_examples_on_every_sts_task_at_hand(tmp_path: Path) -> None:
    lab = lab_of(tmp_path)
    for scorer, shots in (("smollm2", {"likelihood"}), ("general", {"likelihood", "prompt"})):
        lab.scale = replace(MINI, scorers=(scorer,))
        readings = t1._readings(lab)
        assert {wanted["tasks"] for wanted in readings.values()} == {("mini",)}
        assert {(wanted["by"], bool(wanted["shots"])) for wanted in readings.values()} == {
            *(("prompt", False), ("likelihood", False)),
            *((by, True) for by in shots),
        }
        assert all(wanted["shots"] == 0 or name.endswith(t1.ICL) for name, wanted in readings.items())


def test_t1_averages_the_correlations_of_the_pairs_that_have_a_score(tmp_path: Path) -> None:
    lab = lab_of(tmp_path)
    (pairs,) = sts.load("mini", None, "test").subsets
    gold = np.array(pairs.gold)
    scores = gold + np.random.default_rng(0).normal(0, 2, len(gold))
    given = np.where(np.arange(len(gold)) % 3, scores, np.nan)
    drawn = t1._drawn(lab, {"mini": scores}, {"mini": given})
    assert drawn is not None
    there = ~np.isnan(given)
    assert drawn[0] == pytest.approx(100 * spearmanr(scores[there], gold[there]).statistic)
    assert abs(np.median(drawn[1:]) - drawn[0]) < 2
    assert t1._drawn(lab, {"mini": np.ones(len(gold))}, {"mini": given}) is None


def test_t1_tells_nothing_of_an_llm_at_chance(tmp_path: Path) -> None:
    lab = lab_of(tmp_path)
    (pairs,) = sts.load("mini", None, "test").subsets
    gold, noise = np.array(pairs.gold), np.random.default_rng(1).normal(size=len(pairs.gold))
    said = t1._against(lab, "It", [{"mini": gold}] * 5, {"mini": noise})
    assert "at chance" in said.why
    assert "seeds" in t1._against(lab, "It", [{"mini": gold}] * 4, {"mini": gold + noise}).why
    found = t1._against(lab, "It", [{"mini": gold}] * 5, {"mini": gold + 3 * noise})
    assert found.effect.low > 0


def test_simcse_is_trained_by_its_published_recipe_on_its_sentences(tmp_path: Path) -> None:
    """Gao et al. 2021: BERT 64 / 3e-5, RoBERTa 512 / 1e-5, one epoch on a million sentences of Wikipedia."""
    lab = lab_of(tmp_path, "paper")
    recipes = {}
    for backbone in PAPER.backbones:
        (wanted,) = baselines.simcse(lab, backbone)
        assert wanted.parent == node("sentences", premises=WIKIPEDIA)
        assert wanted["objective"] == "simcse-unsup"
        recipes[wanted["base"]] = (wanted["train_batch"], wanted["lr"], wanted["epochs"])
    assert recipes == {"bert-base": (64, 3e-5, 1), "roberta-base": (512, 1e-5, 1)}
    assert [one.stage for one in in_order(baselines.simcse(lab))] == ["sentences", "train"]  # no LLM writes a word


def test_simcse_learns_from_the_sentences_and_nothing_else(tmp_path: Path) -> None:
    """The first of a file, in their order, one that occurs twice twice."""
    premises = tmp_path / "premises.txt"
    lines(premises, ["The first bus.", "", 'A second, "third" bus.', "The first bus.", "The last bus."])
    lab = lab_of(tmp_path)
    for limit, kept in ((3, [0, 2, 1]), (None, [0, 3, 2, 1])):
        run = lab.make(node("sentences", premises=str(premises), limit=limit))
        texts = Counter(triplet.premise for triplet in training.triplets(lab.store, run))
        assert sum(texts.values()) == run.counts["premises"] == len(kept)
        assert texts["The first bus."] == 2
        assert ("The last bus." in texts) == (limit is None)


def test_every_published_row_that_is_bundled_is_shown(tmp_path: Path) -> None:
    """With its own figures, and a dash for ours unless it is made here: on STS in t2 or t11, on the transfer tasks in t9."""
    lab = lab_of(tmp_path, "paper")
    shown = {"sts": [*T2.rows(lab), *T11.rows(lab)], "transfer": T9.rows(lab)}
    assert set(shown) == set(published.GROUPS)
    for group, rows in shown.items():
        figures = {row.as_paper: dict(row.published) for row in rows}
        for known in published.table(group):
            assert figures[f"{known.method} on {known.backbone}"] == known.figures


def test_a_base_alone_is_pooled_as_its_published_figure_was(tmp_path: Path) -> None:
    rows = {row.as_paper: row for row in baselines.field(lab_of(tmp_path, "paper"), "sts")}
    for name, pooler, average in (
        ("first-last avg on BERT-base", "embeddings_last_mean", 56.70),
        ("whitening on BERT-base", "embeddings_last_mean", 66.28),
        ("first block + last avg on BERT-base", "first_last_mean", 60.73),
    ):
        assert rows[name].evaluated["pooler"] == pooler
        assert rows[name].published["average"] == average


def test_curation_is_reckoned_to_keep_what_the_paper_kept_of_wikipedia() -> None:
    """0.19 million of a million sentences: mask vectors of so many triplets, and steps of no more."""
    corpus = PAPER.curate(PAPER.gen(0.3, premises=WIKIPEDIA))
    masked, plain = (PAPER.train(corpus, 0, mask) for mask in (True, False))
    taken = [estimate.estimate([one]) for one in (masked, plain)]
    assert taken[0].disk - taken[1].disk == pytest.approx(190_000 * 3 * 768 * 4)
    raw = estimate.estimate([PAPER.train(PAPER.gen(0.3, premises=WIKIPEDIA), 0, False)])
    assert taken[1].gpu_hours / raw.gpu_hours == pytest.approx(0.19)
    assert "19 % of them kept" in taken[0].shown.replace("%", " %")
