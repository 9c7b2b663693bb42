"""What each experiment is made of: corpora, controls and thresholds, as the paper's form of it has them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from test_reproduce import data as data
from test_reproduce import lab_of
from test_reproduce import scale as scale
from test_tasks_sts import pairs, stsb

from multicsr.paper import reproduction
from multicsr.paper.experiments import f7, t11
from multicsr.paper.lab.lab import Lab
from multicsr.paper.node import Node, in_order, node
from multicsr.paper.scales import GRID, OMEGA, SCALES, Scale
from stages.models import catalog
from store.records import Triplet
from store.rows import training, vectors

EXPERIMENTS = reproduction.EXPERIMENTS


@pytest.fixture
def lab(scale: Scale, data: Path, tmp_path: Path) -> Lab:
    return lab_of(tmp_path / "a.db", scale, data)


def triplets(lab: Lab, wanted: Node) -> list[Triplet]:
    return list(training.triplets(lab.store, lab.make(wanted)))


def trainings(lab: Lab, name: str) -> list[Node]:
    return [one for one in EXPERIMENTS[name].nodes(lab) if one.stage == "train"]


def test_f4_learns_from_labelled_triplets_of_which_one_stands_k_times_more(lab: Lab) -> None:
    labelled = lab.labelled()
    assert labelled is not None
    every = triplets(lab, labelled)
    for corpus in {one.parent for one in trainings(lab, "f4")}:
        assert corpus is not None
        assert corpus.parent == labelled
        first = every[: lab.scale.copied]
        assert Counter(triplets(lab, corpus)) == Counter([*first, *first[:1] * corpus["copies"]])


def test_f4_trains_by_simcse_and_its_mask_removes_every_copy(lab: Lab) -> None:
    """All triplets are one batch: of five that are equal, each loses the other four as negatives, at least."""
    for wanted in trainings(lab, "f4"):
        run = lab.make(wanted)
        assert run.config["objective"] == "simcse"
        copies, count = wanted.parent["copies"] if wanted.parent else 0, run.counts["triplets"]
        equal = copies * (copies + 1) / (count * (2 * count - 1))
        if wanted["mask_model"]:
            assert run.counts["masked_share"] >= equal
        else:
            assert run.counts["masked_share"] == 0


def test_at_the_papers_scale_the_mask_model_of_the_supervised_setting_is_supervised_simcse(tmp_path: Path) -> None:
    lab = Lab(lab_of(tmp_path / "a.db", SCALES["mini"]).store, SCALES["paper"], seeds=1)
    for name, bases in (("f4", {"roberta"}), ("t11", {"bert", "roberta"})):
        masked = {str(one["mask_model"]) for one in trainings(lab, name)} - {"None", "none"}
        assert masked == {f"simcse-sup-{base}" for base in bases}
    assert {one["mask_model"] for one in trainings(lab, "t3")} == {"none", "simcse-unsup-roberta"}


def test_every_premise_of_what_t11_generates_stands_in_the_labelled_corpus(lab: Lab) -> None:
    written, labelled = t11.corpora(lab)
    premises = {triplet.premise for triplet in triplets(lab, labelled)}
    assert {triplet.premise for triplet in triplets(lab, written)} <= premises
    assert lab.make(written.ancestor("gen") or written).counts["premises"] == len(premises) == lab.scale.limit
    joined = [one for one in trainings(lab, "t11") if one["joined"] is not None]
    assert {(one.parent, one["joined"]) for one in joined} == {(written, labelled)}


def test_f7_takes_each_premise_with_both_hypotheses_of_every_other_triplet(lab: Lab) -> None:
    told, _ = reproduction.run(lab, [EXPERIMENTS["f7"]])
    joined = [triplet for corpus in t11.corpora(lab) for triplet in triplets(lab, corpus)]
    assert told[0]["pairs"] == 2 * len(joined) * (len(joined) - 1)
    batch, model = joined[:5], lab.scale.backbone.supervised
    vector = {text: lab.encode(model, [text])[0] for triplet in batch for text in triplet}
    slow = [
        float(vector[one.premise] @ vector[hypothesis])
        for role in (1, 2)
        for one, other in sorted(permutations(range(5), 2))
        for one, hypothesis in [(batch[one], batch[other][role])]
    ]
    assert f7.cross_cosines(lab, model, batch) == pytest.approx(slow, abs=1e-6)
    assert [len(places) for places in f7.drawn(1000)] == [f7.IN_BATCH] * f7.DRAWS


def test_a_random_subset_is_as_large_as_what_it_stands_beside_and_drawn_by_its_seed(lab: Lab) -> None:
    raw, rest = lab.scale.gen(OMEGA), lab.scale.gen(OMEGA, limit=4)
    every, first = triplets(lab, raw), triplets(lab, lab.scale.drawn(raw, 0, like=rest))
    size = len(triplets(lab, rest))
    assert 0 < len(first) == size < len(every)
    assert not Counter(first) - Counter(every)
    assert triplets(lab, lab.scale.drawn(raw, 0, triplets=size)) == first
    assert any(triplets(lab, lab.scale.drawn(raw, seed, triplets=size)) != first for seed in range(1, 5))
    assert Counter(triplets(lab, lab.scale.drawn(raw, 0, triplets=100))) == Counter(every)


def test_where_curation_keeps_nothing_nothing_is_drawn_either(lab: Lab) -> None:
    raw = lab.scale.gen(OMEGA)
    nothing = lab.scale.curate(raw, (5, 0, 5))
    wanted = lab.scale.train(lab.scale.drawn(raw, 0, like=nothing), 0)
    assert not lab.can_train(wanted)
    assert lab.is_impossible(wanted)
    assert lab.is_impossible(lab.scale.drawn(raw, 0, like=nothing))
    assert not lab.is_impossible(lab.scale.train(raw, 0))


def test_a_training_as_long_as_another_takes_as_many_steps(lab: Lab) -> None:
    raw = lab.scale.train(lab.scale.gen(OMEGA), 0, False)
    few = lab.scale.drawn(lab.scale.gen(OMEGA), 0, triplets=3)
    alike, short = (lab.make(lab.scale.train(few, 0, False, **told)) for told in ({"as_long_as": raw}, {}))
    assert alike.counts["steps"] == lab.make(raw).counts["steps"] > short.counts["steps"]
    assert alike.counts["triplets"] == short.counts["triplets"] == 3


@pytest.mark.parametrize("name", ["t3", "t11", "sizes"])
def test_arms_of_different_sizes_have_one_of_equal_steps_beside_them(lab: Lab, name: str) -> None:
    longer = [one for one in trainings(lab, name) if one["as_long_as"] is not None]
    assert longer
    assert all(one["as_long_as"].parent != one.parent for one in longer)


@pytest.mark.parametrize("name", ["t2", "t3", "t7", "methods"])
def test_beside_a_curated_arm_stands_a_random_subset_of_its_size(lab: Lab, name: str) -> None:
    drawn = [one.parent for one in trainings(lab, name) if one.parent and one.parent.stage == "drawn"]
    assert len(drawn) == len(lab.seeds)
    assert all(one["like"] in [other.parent for other in trainings(lab, name)] for one in drawn)
    assert [one["seed"] for one in drawn] == list(lab.seeds)


def test_what_t13_measures_are_distinct_texts_that_the_mask_model_has_never_seen(lab: Lab) -> None:
    """Whatever the cache holds of them is forgotten: vectors that would mask every negative are not read."""
    corpus = node("distinct", triplets=lab.scale.costed)
    texts = [text for triplet in triplets(lab, corpus) for text in triplet]
    assert len(set(texts)) == len(texts) == 3 * lab.scale.costed
    model = catalog.locate(lab.scale.backbone.mask_model, "encoder").fingerprint
    others = [*texts, "A sentence of elsewhere."]

    def kept() -> list[bytes]:
        (rows,) = vectors.cached(lab.store, model, [others], lambda missing: [b"none"] * len(missing))
        return rows

    alike = np.ones(8, dtype="<f4").tobytes()
    list(vectors.cached(lab.store, model, [others], lambda missing: [alike] * len(missing)))
    assert set(kept()) == {alike}
    told, _ = reproduction.run(lab, [EXPERIMENTS["t13"]])
    masked = [lab.make(one) for one in trainings(lab, "t13") if one["mask_model"] != "none"]
    assert masked
    assert all(run.counts["masked_share"] < 1 for run in masked)
    assert [alike in part for part in (kept()[:-1], kept()[-1:])] == [False, True]
    assert all(row["masked"]["masking"] > 0 == row["plain"]["masking"] for row in told[0]["rows"].values())


def test_tables_on_stsb_dev_are_measured_on_it_where_it_is_at_hand(scale: Scale, tmp_path: Path) -> None:
    place = tmp_path / "STS" / "STSBenchmark"
    place.mkdir(parents=True)
    (place / "sts-dev.csv").write_text(stsb(pairs(9, 0)))
    lab, without = lab_of(tmp_path / "a.db", scale, tmp_path), lab_of(tmp_path / "a.db", scale)
    assert (lab.tasks.dev_table, without.tasks.dev_table) == (("stsb dev",), ("mini",))
    for name in ("t3", "t7", "t10", "f4", "f6"):
        tasks = EXPERIMENTS[name].tasks  # type: ignore[attr-defined]
        assert (tasks(lab), tasks(without)) == (("stsb dev",), ("mini",))
    evals = [one for one in EXPERIMENTS["t3"].nodes(lab) if one.stage == "eval"]
    assert {one["tasks"] for one in evals} == {("stsb dev",)}


def test_the_grid_of_curation_varies_gamma_where_the_papers_does() -> None:
    for threshold in (4, 3, 2):
        assert {gamma for alpha, beta, gamma in GRID if alpha == beta == threshold} == {0, 1, 2}
    assert {gamma for alpha, beta, gamma in GRID if alpha != beta} == {1}
    assert {(alpha, beta) for alpha, beta, _ in GRID} == {
        *((4, 3), (4, 2), (5, 3), (5, 2), (4, 1), (4, 0), (5, 1), (5, 0), (3, 0), (3, 1), (3, 2), (4, 4), (5, 4)),
        *((3, 3), (2, 0), (2, 1), (2, 2)),
    }


def test_a_node_is_made_from_every_node_that_it_names(scale: Scale) -> None:
    raw = scale.gen(OMEGA)
    curated = scale.curate(raw)
    whole = scale.train(raw, 0, False)
    wanted = scale.train(scale.drawn(raw, 0, like=curated), 0, as_long_as=whole)
    assert set(wanted.needs) == {whole, wanted.parent}
    order = [one.stage for one in in_order([wanted])]
    assert sorted(order) == ["curate", "drawn", "gen", "score", "train", "train"]
    assert order.index("curate") < order.index("drawn") < order.index("train", order.index("train") + 1)


def test_the_mask_of_a_scale_is_told_once(scale: Scale) -> None:
    """A threshold that an experiment names takes the place of the scale's."""
    other = replace(scale, mask=("sigma_quantile", 0.01))
    corpus = other.gen(OMEGA)
    assert other.train(corpus, 0)["sigma_quantile"] == 0.01
    told = other.train(corpus, 0, sigma=0.5)
    assert (told["sigma"], told["sigma_quantile"]) == (0.5, None)
    assert other.train(corpus, 0, objective="simcse")["mask_model"] is None
    assert other.train(corpus, 0, False)["mask_model"] == "none"
