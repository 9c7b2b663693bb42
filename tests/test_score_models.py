"""Stage 2 without an LLM, with tiny real models: an encoder's cosine, an NLI classifier's probability of entailment."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import tiny
import torch
from conftest import PREMISES, Piped
from narrow import memory_for
from rows import GEN, Made, add_drafts, add_premises, content, score_rows
from shell import Ended, multicsr

from stages import score
from stages.config import ModelScoresConfig
from stages.models import catalog, loading
from stages.models.encoder import labels
from stages.models.encoder.classifier import Classifier
from stages.models.encoder.model import Encoder
from store.database import Store
from store.problem import Problem
from store.records import REWRITES, DraftRow, Run
from store.rows import drafts, scores

ENCODER = ModelScoresConfig(by="encoder:bert", model_fingerprint="e" * 12, dtype="float32")
NLI = ModelScoresConfig(by="nli:bert", model_fingerprint="c" * 12, dtype="float32")
WAYS = pytest.mark.parametrize("config", [ENCODER, NLI], ids=["encoder", "nli"])

MADE = [
    Made(text, f"{text.split()[0]} and {text.split()[-1]}", "" if place == 3 else "It is not so.")
    for place, text in enumerate(PREMISES)
]


def never() -> NoReturn:
    raise AssertionError("a model was loaded for nothing")


@pytest.fixture(scope="module")
def tiny_nli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_tiny_nli(tmp_path_factory.mktemp("models") / "nli")


@pytest.fixture(scope="module")
def models(tiny_encoder: Path, tiny_nli: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    encoder = loading.encoder(catalog.locate(str(tiny_encoder), "encoder"), "cpu", "mean")
    return {
        "encoder": encoder,
        "nli": loading.classifier(catalog.locate(str(tiny_nli), "classifier"), "cpu", "float32"),
    }


def generated(store: Store, made: list[Made] = MADE) -> Run:
    gen = store.begin("gen", 1, GEN, None)
    if not gen.finished:
        add_drafts(store, gen, zip(add_premises(store, [one.x for one in made]), made, strict=True))
    return store.run(gen.id)


def scored(
    store: Store, models: dict[str, Any], config: ModelScoresConfig, made: list[Made] = MADE, batch: int | None = 4
) -> Run:
    gen = generated(store, made)
    list(score.run(store, config, gen, None, lambda: models[config.kind], batch, "cpu"))
    return store.begin("score", score.VERSION, config, gen.id)


def cosine(encoder: Encoder, x: str, y: str) -> float:
    first, second = (encoder.encode([text], 1)[0].astype(np.float64) for text in (x, y))
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def probabilities(classifier: Classifier, x: str, y: str) -> dict[str, float]:
    """One pair in one plain forward pass, its labels by the names the config gives them."""
    read = classifier.tokenizer(x, y, return_tensors="pt")
    with torch.inference_mode():
        shares = classifier.model(**read).logits[0].double().softmax(-1).tolist()
    return {classifier.model.config.id2label[place].lower(): share for place, share in enumerate(shares)}


def test_a_score_by_an_encoder_is_five_times_the_cosine_and_never_below_0(store: Store, models: dict[str, Any]) -> None:
    found = {row[1:3]: row[3:] for row in score_rows(store, scored(store, models, ENCODER))}
    for position, one in enumerate(MADE, start=1):
        for role, y in (("entailment", one.x_plus), ("contradiction", one.x_minus)):
            value, reply = found[position, role]
            if not y:
                assert (value, reply) == (None, "")
                continue
            told = json.loads(reply)["cosine"]
            assert told == pytest.approx(cosine(models["encoder"], one.x, y), abs=5.1e-4)
            assert value == pytest.approx(5 * max(0.0, told))


def test_a_negative_cosine_scores_0_and_is_told(store: Store, models: dict[str, Any]) -> None:
    """Vectors whitened by one text lie on both sides of it."""
    encoder = models["encoder"]
    middle = encoder.encode([PREMISES[0], PREMISES[1]]).mean(0)
    encoder.whiten(middle, np.eye(encoder.width))
    try:
        run = scored(store, models, ENCODER, [Made(PREMISES[0], PREMISES[1], PREMISES[0])])
    finally:
        encoder.whitening = None
    rows = {row[2]: row[3:] for row in score_rows(store, run)}
    assert rows["entailment"] == (0.0, '{"cosine":-1.0}')
    assert rows["contradiction"] == (5.0, '{"cosine":1.0}')


def test_a_score_by_a_classifier_is_five_times_p_entailment(store: Store, models: dict[str, Any]) -> None:
    found = {row[1:3]: row[3:] for row in score_rows(store, scored(store, models, NLI))}
    for position, one in enumerate(MADE, start=1):
        for role, y in (("entailment", one.x_plus), ("contradiction", one.x_minus)):
            value, reply = found[position, role]
            if not y:
                assert (value, reply) == (None, "")
                continue
            told = json.loads(reply)
            assert told == pytest.approx(probabilities(models["nli"], one.x, y), abs=5.1e-4)
            assert value == pytest.approx(5 * told["entailment"])
    assert len({row[0] for row in found.values()}) > 10


@WAYS
@pytest.mark.parametrize("batch", [1, 7, None])
def test_float32_rows_do_not_change_with_the_batch(
    store: Store, models: dict[str, Any], config: ModelScoresConfig, batch: int | None
) -> None:
    other = Store.memory()
    one, two = scored(store, models, config, batch=4), scored(other, models, config, batch=batch)
    assert score_rows(store, one) == score_rows(other, two)


def test_a_probability_near_a_rounding_border_does_not_change_with_the_batch(models: dict[str, Any]) -> None:
    """Among thousands of figures, some lie so near a border that a batch's last bits would tip them."""
    words = " ".join(PREMISES).split()
    texts = [" ".join(words[start : start + 3 + start % 9]) for start in range(50)]
    pairs = list(itertools.product(texts[:20], texts))
    asked = [models["nli"].probabilities(pairs[start : start + 16]) for start in range(0, len(pairs), 16)]
    assert list(itertools.chain(*asked)) == models["nli"].probabilities(pairs)


@WAYS
@pytest.mark.parametrize("ticks", range(1, 6))
def test_walking_away_and_running_again_equals_a_run_without_a_break(
    models: dict[str, Any], config: ModelScoresConfig, ticks: int
) -> None:
    whole, cut = Store.memory(), Store.memory()
    run = scored(whole, models, config, batch=2)
    gen = generated(cut)
    going = score.run(cut, config, gen, None, lambda: models[config.kind], 2, "cpu")
    stored = [tick.done for tick in itertools.islice(going, ticks)][-1]
    going.close()  # type: ignore[attr-defined]
    assert scores.done(cut, run) == stored
    again = list(score.run(cut, config, gen, None, lambda: models[config.kind], 3, "cpu"))
    assert again[-1].fresh == len(MADE) - stored
    assert score_rows(cut, run) == score_rows(whole, run)
    assert cut.run(run.id).counts == whole.run(run.id).counts == {"scored": 19, "unparsable": 1}


@WAYS
def test_a_complete_run_never_loads_the_model_and_writes_nothing(
    store: Store, models: dict[str, Any], config: ModelScoresConfig
) -> None:
    scored(store, models, config)
    before = content(store)
    assert [tick.note for tick in score.run(store, config, generated(store), None, never, 4, "cpu")] == ["complete"]
    assert content(store) == before


def test_kept_vectors_are_read_and_missing_ones_are_kept(file_store: Store, models: dict[str, Any]) -> None:
    first = score_rows(file_store, scored(file_store, models, ENCODER))
    gen = generated(file_store)
    with file_store.writing() as connection:
        connection.execute("DELETE FROM scores")
        connection.execute("UPDATE runs SET finished = NULL WHERE stage = 'score'")
    loaded: list[str] = []

    def load() -> Any:
        loaded.append("for a cosine at the border of rounding")
        return models["encoder"]

    with memory_for(models["encoder"], 1):  # nothing is encoded but lone texts
        list(score.run(file_store, ENCODER, gen, None, load, 64, "cpu"))
    run = file_store.begin("score", score.VERSION, ENCODER, gen.id)
    assert score_rows(file_store, run) == first
    assert len(loaded) <= 1


@WAYS
def test_scoring_goes_on_with_half_where_memory_runs_out(models: dict[str, Any], config: ModelScoresConfig) -> None:
    expected = Store.memory()
    run = scored(expected, models, config)
    model = models["encoder"] if config.kind == "encoder" else models["nli"].model
    halved = Store.memory()
    with memory_for(model, 6) as refused:
        scored(halved, models, config, batch=None)
    assert refused
    assert score_rows(halved, run) == score_rows(expected, run)


@WAYS
def test_each_rewrite_of_a_premise_gets_a_score(
    store: Store, models: dict[str, Any], config: ModelScoresConfig
) -> None:
    gen = store.begin("gen", 1, GEN, None)
    there = add_premises(store, PREMISES[:3])
    rows = [
        DraftRow(premise.id, role, f"{premise.text} {role}", None, None, "About {premise}:", 3)
        for premise in there
        for role in REWRITES
    ]
    drafts.add(store, gen, rows)
    store.finish(gen, drafts.counts(store, gen))
    list(score.run(store, config, store.run(gen.id), None, lambda: models[config.kind], 2, "cpu"))
    run = store.begin("score", score.VERSION, config, gen.id)
    assert run.counts == {"scored": 3 * len(REWRITES), "unparsable": 0}


@pytest.mark.parametrize(
    "said",
    [
        ("LABEL_0", "LABEL_1", "LABEL_2"),
        ("entailment", "not_entailment"),
        ("entailment", "neutral", "contradiction", "other"),
        ("entailment", "Entailment", "neutral"),
    ],
)
def test_labels_that_are_not_to_be_known_are_refused(tmp_path: Path, said: tuple[str, ...]) -> None:
    found = catalog.locate(str(tiny.save_tiny_nli(tmp_path / "nli", said)), "classifier")
    with pytest.raises(Problem, match="does not say which of its outputs"):
        labels.columns(found)


def test_labels_may_stand_in_any_order_and_case(tmp_path: Path, tiny_nli: Path) -> None:
    assert labels.columns(catalog.locate(str(tiny_nli), "classifier")) == (2, 1, 0)
    other = tiny.save_tiny_nli(tmp_path / "nli", ("Entailment", "NEUTRAL", " contradiction"))
    assert labels.columns(catalog.locate(str(other), "classifier")) == (0, 1, 2)


def test_an_encoder_in_bfloat16_is_refused() -> None:
    with pytest.raises(Problem, match="dtype bfloat16 has no use with by=encoder"):
        ModelScoresConfig(by="encoder:minilm", model_fingerprint="e" * 12, dtype="bfloat16")


def test_both_go_the_whole_road_and_the_listed_command_makes_them_again(copied: Piped, tiny_nli: Path) -> None:
    asked = ("--dtype", "float32", "--db", copied.db, "--json")
    for by in (f"encoder:{copied.run('train')[:8]}", f"nli:{tiny_nli}"):
        run = multicsr("score", copied.run("gen"), "--by", by, *asked).json
        assert run["scored"] == copied.said["score"].json["scored"]  # all but the empty hypotheses
        (row,) = [row for row in multicsr("runs", *asked[2:]).json["runs"] if row["run"] == run["run"]]
        again = multicsr(*row["command"].split()[1:], *asked[2:])
        assert again.json["run"] == run["run"]
        assert "complete" in again.err
        kept = multicsr("curate", run["run"], *asked[2:])
        assert "keeping a >= 3, b <= 3, a >= b + 1" in kept.err
        shown = multicsr("inspect", kept.json["run"], *asked[2:]).json
        assert len(shown["rows"]) == len(PREMISES)
        assert all(row["a"] is None or 0 <= row["a"] <= 5 for row in shown["rows"])
        page = copied.db.parent / f"{run['run']}.html"
        assert multicsr("report", kept.json["run"], "--out", page, "--db", copied.db).code == 0
        assert by.partition(":")[0] in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "flags",
    [
        ("--llm", "smollm2"),
        ("--prompts", "general"),
        ("--directions", "both"),
        ("--expected",),
        ("--scale", "0-5"),
        ("--base-url", "http://localhost:1"),
        ("--in-flight", "2"),
    ],
)
@pytest.mark.parametrize("by", ["encoder:minilm", "nli:folder"])
def test_what_is_said_to_an_llm_is_refused(refuse: Callable[..., Ended], by: str, flags: tuple[str, ...]) -> None:
    refuse("score", "--by", by, *flags, says=f"{flags[0]} has no use with --by {by}")


def test_models_that_cannot_score(
    refuse: Callable[..., Ended], tmp_path: Path, tiny_encoder: Path, tiny_llm: Path, tiny_nli: Path
) -> None:
    unnamed = tiny.save_tiny_nli(tmp_path / "unnamed", ("LABEL_0", "LABEL_1", "LABEL_2"))
    shutil.copytree(tiny_nli, tmp_path / "weightless", ignore=shutil.ignore_patterns("*.safetensors"))
    refuse("score", "--by", "encoder:", says="names no model")
    refuse("score", "--by", "nli", says="names no model")
    refuse("score", "--by", "encoder:NAME", says="unknown model 'NAME'")
    refuse("score", "--by", "nli:nosuch", says="unknown model 'nosuch'")
    refuse("score", "--by", "oracle:minilm", says="--by 'oracle:minilm' is not known")
    refuse("score", "--by", f"encoder:{tiny_encoder}", says="does not record how its tokens are pooled")
    refuse("score", "--by", f"encoder:{tiny_llm}", says="not an encoder")
    refuse("score", "--by", "encoder:smollm2", says="not a sentence encoder")
    refuse("score", "--by", "nli:minilm", says="not an NLI classifier")
    refuse("score", "--by", f"nli:{tiny_encoder}", says="not a sequence classifier")
    refuse("score", "--by", f"nli:{unnamed}", says="its labels are LABEL_0, LABEL_1, LABEL_2")
    refuse("score", "--by", f"nli:{tmp_path / 'weightless'}", says="has no weights")
    refuse("score", "--by", "encoder:minilm", "--dtype", "bfloat16", says="--dtype bfloat16 has no use")
    refuse("score", "--by", f"nli:{tiny_nli}", "--dtype", "int8", says="--dtype 'int8'")
