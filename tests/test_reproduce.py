"""The experiments as a whole, on tiny models: every part is an ordinary run, and what exists is not done again."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rows import dump
from shell import multicsr
from test_tasks_retrieval import write as write_beir

from multicsr.paper import estimate, outcome, reproduction
from multicsr.paper import page as results
from multicsr.paper.claims import Claim
from multicsr.paper.experiments.t3 import T3
from multicsr.paper.lab.lab import Lab
from multicsr.paper.lab.material import BUNDLED_RETRIEVAL
from multicsr.paper.node import Node, in_order, node
from multicsr.paper.scales import SCALES, Backbone, Scale
from multicsr.paper.trained.experiment import TrainedExperiment, always
from multicsr.paper.trained.rows import Row
from stages.models import catalog, checkpoint, loading
from stages.tasks import beir, sts
from store.database import Store
from store.problem import Problem


@pytest.fixture(scope="module")
def scale(tiny_llm: Path, tiny_encoder: Path, prompts_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Scale:
    folder = tmp_path_factory.mktemp("experiments")
    encoder = loading.encoder(catalog.locate(str(tiny_encoder), "encoder"), torch.device("cpu"), "mean")
    checkpoint.save(encoder, folder / "encoder", "a tiny base")
    premises = folder / "premises.txt"
    premises.write_text("".join(f"The number {place} bus stops here at night.\n" for place in range(12)))
    base = str(folder / "encoder")
    return replace(
        SCALES["mini"],
        premises=str(premises),
        limit=10,
        llm=str(tiny_llm),
        scorers=(str(tiny_llm),),
        thresholds=(0.0, 5.0, -5.0),
        grid=((0, 5, -5), (0, 5, -4), (5, 0, 5)),
        backbones=(Backbone(base, base, base, "BERT-base", base),),
        further=(),
        sizes=(4,),
        mask=("sigma", 0.9),
        omegas=(-0.2, 0.0, 0.3, 0.6),
        sigmas=(-1.0, 0.5, 0.9, 1.0),
        quantiles=(),
        crossed=True,
        learners=("SimCSE unsup.", "RankCSE listMLE"),
        judged=6,
        judge=f"encoder:{base}",
        multilingual=replace(SCALES["mini"].multilingual, llm=str(tiny_llm), base=base),
        by="likelihood",
        prompts=str(prompts_file),
        left_out=(),
        batches=(2, 4),
        costed=8,
        copied=6,
        copies=(0, 4),
        train_batch=4,
        lr=1e-3,
        epochs=1,
    )


def lab_of(path: Path, scale: Scale, data: Path | None = None, seeds: int = 1, batch: int = 8) -> Lab:
    path.parent.mkdir(exist_ok=True)
    return Lab(Store.open(path), scale, seeds=seeds, data=data, device="cpu", dtype="float32", batch=batch)


@pytest.fixture
def labelled_scale(scale: Scale, tmp_path: Path) -> Scale:
    """A scale with a labelled corpus of distinct texts: the tiny LLM writes some twice, which any mask removes."""
    file = tmp_path / "labelled.csv"
    words = ("Bus {} leaves the old town.", "A train {} stands still.", "{} birds sing in our garden.")
    rows = [",".join(word.format(place**3) for word in words) for place in range(70)]
    file.write_text("\n".join(["premise,entailment,contradiction", *rows]) + "\n")
    return replace(scale, labelled=str(file))


def kept(lab: Lab, gamma: float) -> Node:
    """All of the labelled corpus, by a rule of its own for each γ that lets everything pass."""
    labelled = lab.labelled()
    assert labelled is not None
    scored = node("score", labelled, by=f"encoder:{lab.scale.backbone.base}")
    return node("curate", scored, alpha=0.0, beta=5.0, gamma=gamma)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a little of everything: SNLI, translations, a transfer task, a BEIR folder."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "snli").mkdir()
    for name, lines in {
        "s1": [f"Bus {place // 3} leaves the old town at noon ." for place in range(36)],
        "s2": [f"A {word} of line {place} ." for place in range(12) for word in ("bus", "photo", "wreck")],
        "labels": ["entailment", "neutral", "contradiction"] * 12,
    }.items():
        (folder / "snli" / f"{name}.dev").write_text("".join(f"{line}\n" for line in lines))
    (folder / "tatoeba").mkdir()
    for side, word in (("swh", "basi"), ("eng", "bus")):
        lines = [f"{word} {place}" for place in range(24)]
        (folder / "tatoeba" / f"tatoeba.swh-eng.{side}").write_text("".join(f"{line}\n" for line in lines))
    (folder / "MR").mkdir()
    for kind, word in (("pos", "good"), ("neg", "poor")):
        (folder / "MR" / f"rt-polarity.{kind}").write_text("".join(f"a {word} film {place}\n" for place in range(30)))
    corpus = [(f"d{place}", "", f"document {place}") for place in range(12)]
    write_beir(
        folder / "tiny-beir", corpus, {"q1": "document 3", "q2": "document 5"}, {"q1": {"d3": 1}, "q2": {"d5": 1}}
    )
    return folder


@pytest.mark.parametrize("name", list(reproduction.EXPERIMENTS))
def test_an_experiment_ends_with_its_files_and_is_not_done_again(
    scale: Scale, shared_store: Path, data: Path, name: str
) -> None:
    """All experiments in one store: what one has made, the next finds."""
    experiment = reproduction.EXPERIMENTS[name]
    lab = lab_of(shared_store, scale, data)
    assert experiment.missing(lab) is None
    told, skipped = reproduction.run(lab, [experiment])
    assert skipped == {}
    json.dumps(told, allow_nan=False)
    assert told[0]["experiment"] == name
    assert told[0]["sentences"]
    text = (lab.folder / f"{name}.md").read_text()
    assert f"# {name}: " in text
    assert "\\toprule" in (lab.folder / f"{name}.tex").read_text()
    assert (lab.folder / f"{name}.csv").read_text().count("\n") >= 2
    runs = lab.store.rows("SELECT id, finished FROM runs ORDER BY id")
    assert all(finished for _, finished in runs)
    again, _ = reproduction.run(lab_of(shared_store, scale, data), [experiment])
    assert again == told
    assert lab.store.rows("SELECT id, finished FROM runs ORDER BY id") == runs


def test_of_several_those_that_lack_data_are_left_out_and_told(scale: Scale, shared_store: Path) -> None:
    lab = lab_of(shared_store, scale)
    chosen = [reproduction.EXPERIMENTS[name] for name in ("t9", "f1")]
    told, skipped = reproduction.run(lab, chosen)
    assert [one["experiment"] for one in told] == ["f1"]
    assert list(skipped) == ["t9"]
    assert "data=DIR with TREC of SentEval would do" in skipped["t9"]
    with pytest.raises(Problem, match="t9"):
        reproduction.run(lab, chosen[:1])


def test_without_data_retrieval_is_measured_on_the_bundled_pairs(scale: Scale, tmp_path: Path) -> None:
    """What answers a query is what people would call its paraphrase; every other second sentence is a distractor."""
    lab = lab_of(tmp_path / "a.db", scale)
    told, _ = reproduction.run(lab, [reproduction.EXPERIMENTS["t8"]])
    assert [list(row["figures"]) for row in told[0]["rows"]] == [[BUNDLED_RETRIEVAL]] * 3
    (collection,) = lab.tasks[BUNDLED_RETRIEVAL].collections
    texts = dict(beir.documents(collection.corpus))
    found = {(collection.queries[query], texts[one]) for query, row in collection.judgements.items() for one in row}
    (pairs,) = sts.load("mini", None, "test").subsets
    rows = list(zip(pairs.first, pairs.second, pairs.gold, strict=True))
    assert found == {(first, second) for first, second, gold in rows if gold >= 4}
    assert set(texts.values()) == set(pairs.second)


def test_the_page_holds_what_the_store_holds_and_names_the_rest(
    scale: Scale, shared_store: Path, tmp_path: Path
) -> None:
    lab = lab_of(shared_store, scale)
    reproduction.run(lab, [reproduction.EXPERIMENTS["f5"]])
    text = results.write(lab_of(shared_store, scale), tmp_path / "r.md", reproduction.LISTED).read_text()
    assert "## f5: " in text
    assert "rank correlation" in text
    assert "| f5 | 8 |" in text.split("## What each took")[1]  # a corpus for each of four ω, and its judge's scores
    assert "t9 (Transfer tasks" in text.split("## Not here")[1]
    assert {path.suffix for path in tmp_path.iterdir()} == {".md", ".png"}  # the images that the page shows


def rated(name: str, masks: tuple[bool, ...]) -> TrainedExperiment:
    """Trainings at two rates on triplets that two rules of curation keep alike, with masks that remove nothing."""

    def rows(lab: Lab) -> list[Row]:
        return [
            Row(
                f"{name} {rate} {gamma} {mask}",
                tuple(lab.scale.train(corpus, seed, mask, lr=rate, sigma=1.0) for seed in lab.seeds)
                if mask
                else tuple(lab.scale.train(corpus, seed, mask, lr=rate) for seed in lab.seeds),
                {"rate": rate, "γ": gamma, "mask": mask},
            )
            for rate in (1e-2, 1e-5)
            for gamma in (-5.0, -4.9)
            for corpus in (kept(lab, gamma),)
            for mask in masks
        ]

    said = always(Claim(f"{name}: the rate", "rate", 1e-5, 1e-2), Claim(f"{name}: the mask", "mask", True, False))
    return TrainedExperiment(name, "Two rates", rows, claims=said)


def test_in_whatever_order_experiments_are_made_the_page_says_the_same(labelled_scale: Scale, tmp_path: Path) -> None:
    """Where the unmasked trainings come first, the masked ones are made too; else they stand for the others. And what stands
    between the marks of another page is what stands on the page of all results."""
    size = replace(labelled_scale, limit=None, train_batch=32, eval_every=3, tasks=("mini",))
    plain, both = rated("plain", (False,)), rated("both", (True, False))
    pages, parts, trained = [], [], []
    for name, order in (("one", [plain, both]), ("other", [both, plain])):
        lab = lab_of(tmp_path / name / "a.db", size, seeds=5, batch=128)
        for experiment in order:
            reproduction.run(lab, [experiment])
        again = lab_of(tmp_path / name / "a.db", size, seeds=5, batch=128)
        pages.append(results.write(again, tmp_path / name / "r.md", [plain, both]).read_text())
        page = tmp_path / name / "page.md"
        page.write_text("<!-- both: made -->\n<!-- end of both -->\n")
        results.fill(lab_of(tmp_path / name / "a.db", size, seeds=5, batch=128), page, [both], [plain, both])
        parts.append(page.read_text())
        trained.append(len(again.store.rows("SELECT id FROM runs WHERE stage = 'train'")))
    assert trained == [20, 10]

    def without_times(page: str) -> str:
        return re.sub(r"from .* UTC|\| [0-9.]+ \|$", "", page, flags=re.MULTILINE)

    assert without_times(pages[0]) == without_times(pages[1])
    assert without_times(parts[0]) == without_times(parts[1])
    said = [line for line in pages[0].splitlines() if line.startswith("- both: ")]
    assert said == [line for line in parts[0].splitlines() if line.startswith("- both: ")]
    assert "by Holm over 2 claims; 5 seeds, 1 matched setting" in said[0]
    assert said[1] == "- both: the mask: no verdict: the mask removed nothing."


def test_a_page_that_cannot_be_written_is_refused_by_the_flag_that_named_it(
    scale: Scale, shared_store: Path, tmp_path: Path
) -> None:
    with pytest.raises(Problem, match=r"^page .*results\.txt ends neither"):
        results.write(lab_of(shared_store, scale), tmp_path / "results.txt", [])


def test_results_go_between_their_marks_in_a_page_of_other_text(
    scale: Scale, shared_store: Path, tmp_path: Path
) -> None:
    lab = lab_of(shared_store, scale)
    chosen = [reproduction.EXPERIMENTS[name] for name in ("f5", "f1")]
    reproduction.run(lab, chosen)
    page = tmp_path / "page.md"
    page.write_text("Before.\n\n<!-- f5: made -->\nold\n<!-- end of f5 -->\n\nAfter.\n")
    for _ in range(2):  # once more changes nothing
        assert results.fill(lab_of(shared_store, scale), page, chosen, reproduction.LISTED) == ["f5"]
        before, _, after = page.read_text().partition("| ω |")
        assert before.startswith("Before.\n\n<!-- f5: made -->\n")
        assert after.endswith("<!-- end of f5 -->\n\nAfter.\n")
        assert "old" not in before + after
    with pytest.raises(Problem, match="has no mark"):
        results.fill(lab_of(shared_store, scale), page, chosen[1:], reproduction.LISTED)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (("all", "--dry-run"), 0),
        (("t9",), 1),
        (("t3", "--scale", "paper"), 1),
        (("t3", "--page", "results.md"), 1),
        (("t14",), 1),
        (("t3", "--scale", "tiny"), 1),
    ],
)
def test_what_makes_nothing_leaves_no_store(asked: tuple[str, ...], code: int, tmp_path: Path) -> None:
    done = multicsr("reproduce", *asked, "--db", tmp_path / "a.db")
    assert done.code == code, done.err
    assert list(tmp_path.iterdir()) == []
    if code:
        assert done.err.count("error:") == 1


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store") / "a.db"


def test_what_a_run_is_found_by_is_what_it_is_made_by(scale: Scale, shared_store: Path, data: Path) -> None:
    """Whatever its stage: before it is made there is none, afterwards its own run, or the training that stands for it."""
    chosen = [reproduction.EXPERIMENTS[name] for name in ("t1", "t2", "t10", "t11", "f4")]
    empty = lab_of(shared_store.with_name("empty.db"), scale, data)
    wanted = reproduction.wanted(empty, chosen)
    assert {one.stage for one in wanted} == {
        "gen",
        "labelled",
        "sentences",
        "copies",
        "drawn",
        "score",
        "curate",
        "train",
        "eval",
        "judge",
    }
    assert [empty.find(one) for one in wanted] == [None] * len(wanted)
    lab = lab_of(shared_store, scale, data)
    reproduction.run(lab, chosen)
    made = {one: lab.make(one) for one in wanted if not lab.is_impossible(one)}
    after = lab_of(shared_store, scale, data)
    assert {one: after.find(one) for one in made} == made
    others = replace(scale, lr=2e-3)
    assert {after.find(one) for one in reproduction.wanted(lab_of(shared_store, others), [T3]) if one["lr"]} == {None}


def test_a_training_stands_for_those_that_would_repeat_it(labelled_scale: Scale, tmp_path: Path) -> None:
    """Equal triplets by another rule of curation; no mask, or a stricter one, where the mask removed nothing."""
    scale, lab = labelled_scale, lab_of(tmp_path / "a.db", labelled_scale, batch=128)
    corpus, same = kept(lab, -5.0), kept(lab, -4.9)
    masked = scale.train(corpus, 0, sigma=0.5, mask_model=scale.backbone.mask_model)
    nothing = scale.train(corpus, 0, sigma=1.0)
    assert lab.make(masked).counts["masked_share"] > 0
    assert lab.find(scale.train(corpus, 0, mask=False)) is None
    assert lab.find(nothing) is None
    assert lab.make(nothing).counts["masked_share"] == 0
    assert lab.make(corpus).id != lab.make(same).id
    for parent in (corpus, same):
        assert lab.make(scale.train(parent, 0, mask=False)) == lab.make(nothing)
        assert lab.make(scale.train(parent, 0, sigma=1.0)) == lab.make(nothing)
        assert lab.make(scale.train(parent, 0, sigma=0.5)) == lab.make(masked)
    assert lab.find(scale.train(corpus, 1, mask=False)) is None
    assert lab.find(scale.train(corpus, 0, mask=False, epochs=2)) is None


def test_what_another_mask_would_remove_is_known_when_it_has_run(labelled_scale: Scale, tmp_path: Path) -> None:
    """A share to mask, or other hypotheses as a premise's own, are no stricter σ; what removed nothing is one training."""
    scale, lab = labelled_scale, lab_of(tmp_path / "a.db", labelled_scale, batch=128)
    corpus = kept(lab, -5.0)
    nothing = lab.make(scale.train(corpus, 0, sigma=1.0))
    by_premise, by_margin, by_share = others = [
        scale.train(corpus, 0, sigma=sigma, **told)
        for sigma, told in ((1.0, {"own": "premise"}), (None, {"sigma_margin": 1.9}), (None, {"sigma_quantile": 0.2}))
    ]
    assert [lab.find(one) for one in others] == [None] * 3
    contents = [lab.twins.content(lab.make(one)) for one in others]
    assert contents[:2] == [lab.twins.content(nothing)] * 2
    assert lab.make(by_premise).id != nothing.id != lab.make(by_margin).id
    assert lab.make(by_share).counts["masked_share"] > 0
    assert contents[2] != contents[0]
    assert contents[2].learned == contents[0].learned
    assert lab.twins.content(lab.make(scale.train(corpus, 1, mask=False))) != contents[0]
    alike = scale.train(corpus, 0, mask=False, objective="simcse")
    assert lab.make(alike) == nothing


def test_a_dry_run_writes_nothing(scale: Scale, shared_store: Path, data: Path) -> None:
    """Neither into the store nor beside it, with material that some experiments would have to write."""
    reproduction.run(lab_of(shared_store, scale), [reproduction.EXPERIMENTS["f1"]])

    def there() -> dict[Path, bytes]:
        files = (path for path in shared_store.parent.rglob("*") if path.is_file())
        return {path: path.read_bytes() for path in files if not path.name.endswith(("-wal", "-shm"))}

    rows, files = dump(shared_store), there()
    for asked in (("--data", data), ()):
        listed = multicsr("reproduce", "all", "--dry-run", *asked, "--db", shared_store, "--json").json
        assert {one["run"] for one in listed["runs"]} == {None}  # of the embedded models, none is here
    assert (dump(shared_store), there()) == (rows, files)


def test_nodes_are_values_and_come_with_what_they_are_made_from() -> None:
    scale = SCALES["mini"]
    first, second = scale.train(scale.curate(scale.gen(0.3)), 0), scale.train(scale.curate(scale.gen(0.3)), 0)
    assert first == second
    assert [one.stage for one in in_order([first, second])] == ["gen", "score", "curate", "train"]
    assert node("gen", limit=None) == node("gen")


def test_latex_keeps_every_character() -> None:
    table = outcome.ResultTable("t", ("a & b", "σ"), [["50 %", "1.00 ± 0.10"], ["x_1 {y}", "-"]])
    text = outcome.latex(table)
    assert r"\begin{tabular}{lr}" in text
    assert r"a \& b & $\sigma$ \\" in text
    assert r"50 \% & 1.00 $\pm$ 0.10 \\" in text
    assert r"x\_1 \{y\} & - \\" in text


def test_latex_sets_sentences_in_paragraphs_that_share_the_line() -> None:
    sentence = "A sentence that is far too long to stand in one line of a column."
    text = outcome.latex(
        outcome.ResultTable("t", ("label", "one", "other", "score"), [["x", sentence, sentence, "3.0"]])
    )
    assert r"\begin{tabular}{lp{0.30\linewidth}p{0.30\linewidth}r}" in text


def test_the_paper_estimate_counts_each_run_once() -> None:
    """Four GPU hours a million premises (docs/scale.md), for generation and scores."""
    scale = SCALES["paper"]
    corpus = scale.score(scale.gen(0.3, limit=1_000_000))
    once = estimate.estimate(in_order([corpus, corpus]))
    assert 4.0 < once.gpu_hours < 4.2
    assert once.disk == pytest.approx(estimate.LLM + estimate.ENCODERS + 1e6 * 1097)


def test_the_estimate_knows_how_long_a_training_is_and_how_large_its_corpus() -> None:
    scale = SCALES["paper"]
    raw = scale.gen(0.3, limit=1_000_000)
    curated, whole = scale.curate(raw), scale.train(raw, 0, False)

    def hours(training: Node) -> float:
        return estimate.estimate([training]).gpu_hours

    assert hours(scale.train(curated, 0, False, as_long_as=whole)) == hours(whole)
    drawn = scale.drawn(raw, 0, like=curated)
    assert hours(scale.train(drawn, 0, False)) == hours(scale.train(curated, 0, False)) < hours(whole)
    assert hours(scale.train(curated, 0, False, joined=curated)) == pytest.approx(
        2 * hours(scale.train(curated, 0, False))
    )
    tenth = scale.train(node("copies", raw, of=60_000, copies=40_000), 0, False)
    assert hours(tenth) == pytest.approx(hours(whole) / 10)


def test_paper_scale_names_everything_that_is_missing() -> None:
    with pytest.raises(Problem) as caught:
        reproduction.refuse_without_means(SCALES["paper"], None)
    assert "data=DIR" in caught.value.what
    assert ("a CUDA device and " in caught.value.what) != torch.cuda.is_available()
