"""The mask model and the dev task that go with a base: found in a small hub cache and a small STS-B, and said."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import tiny
from conftest import PREMISES
from rows import GEN, Made, add_drafts, add_premises
from shell import Ended, assert_problem, multicsr
from test_train_with import CORPUS, write

from multicsr import corpora, curate, score, train
from multicsr.job import Job, Means
from stages.models import catalog
from store.database import Store
from store.problem import Problem
from store.records import Run

MADE = [Made(text, text.replace(" the ", " a "), f"Never: {text.lower()}") for text in PREMISES]
BASES = {"bert-base": "bert", "roberta-base": "roberta"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of a hub client that has fetched every base and SimCSE: tiny models under their names."""
    folder = tmp_path_factory.mktemp("hub")
    for name, alias in catalog.ALIASES.items():
        if alias.kind == "encoder" and alias.hub:
            fetch(folder, alias.hub, name)
    return folder


def fetch(cache: Path, hub: str, content: str) -> None:
    place = cache / f"models--{hub.replace('/', '--')}"
    snapshot = place / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    tiny.save_tiny_bert(snapshot)
    (snapshot / "content.txt").write_text(content)  # so that each has a fingerprint of its own
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("1")


@pytest.fixture(autouse=True)
def _hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that holds STS-B dev: eight pairs."""
    place = tmp_path / "data" / "STS" / "STSBenchmark"
    place.mkdir(parents=True)
    lines = (f"main\tnone\t2012\t{n}\t{n % 5}\t{one}\t{two}\n" for n, (one, two) in enumerate(pairwise(PREMISES[:9])))
    (place / "sts-dev.csv").write_text("".join(lines))
    return tmp_path / "data"


@pytest.fixture
def written(file_store: Store) -> Run:
    gen = file_store.begin("gen", 1, GEN, None)
    add_drafts(file_store, gen, zip(add_premises(file_store, PREMISES), MADE, strict=True))
    return file_store.run(gen.id)


def job(store: Store, parent: Run, data: Path | None = None, **told: Any) -> Job:
    return train.job(store, parent, data=data, means=Means(device="cpu"), **told)


def first_news(job: Job) -> str:
    """What the first tick of a training says that must be heard; the training goes no further."""
    going = job.start()
    tick = next(going)
    going.close()
    return tick.warning


def fingerprint(name: str) -> str:
    return catalog.locate(name, "encoder").fingerprint


@pytest.mark.parametrize("base", BASES)
def test_a_base_of_the_paper_takes_the_simcse_of_its_kind_and_stsb(
    file_store: Store, written: Run, data: Path, base: str
) -> None:
    """By its alias and by its id on the hub; what is chosen is hashed, noted for the command, and said."""
    guide = f"simcse-unsup-{BASES[base]}"
    wanted = job(file_store, written, data, base=base)
    assert (wanted.config["mask_model"], wanted.config["dev"]) == (guide, "stsb")
    assert wanted.config["mask_model_fingerprint"] == fingerprint(guide) != fingerprint("simcse-sup-bert")
    chosen = f"mask model {guide} (the unsupervised SimCSE of its kind), dev task stsb (its dev split is in data)"
    assert first_news(wanted) == f"base {base} goes with {chosen}"
    assert file_store.one("SELECT environment ->> 'dev' FROM runs WHERE id = ?", [wanted.id]) == ("stsb",)
    told = job(file_store, written, data, base=base, mask_model=guide, dev="stsb")
    assert told.id == wanted.id
    assert first_news(told) == ""
    by_hub = job(file_store, written, data, base=str(catalog.ALIASES[base].hub), pooler="cls")
    assert by_hub.config["mask_model"] == guide


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("named", ["file", "run", "curated"])
def test_where_a_labelled_corpus_joins_it_is_the_supervised_simcse(
    file_store: Store, tmp_path: Path, written: Run, base: str, named: str
) -> None:
    corpus: str | Run = str(write(tmp_path / "nli.csv", CORPUS))
    if named != "file":
        corpus = corpora.job(file_store, corpus).run().run
    if named == "curated":
        scored = score.job(file_store, corpus, by="encoder:simcse-sup-bert").run().run
        corpus = curate.job(file_store, scored, alpha=0.0, beta=5.0, gamma=-5.0).run().run
    wanted = job(file_store, written, base=base, with_runs=[corpus])
    assert wanted.config["mask_model"] == f"simcse-sup-{BASES[base]}"


def test_a_run_of_an_llm_that_joins_is_not_labelled(file_store: Store, written: Run) -> None:
    assert job(file_store, written, base="bert-base", with_runs=[written]).config["mask_model"] == "simcse-unsup-bert"


def test_what_is_told_counts(file_store: Store, written: Run, data: Path) -> None:
    told = job(file_store, written, data, base="bert-base", mask_model="minilm", dev="mini")
    assert (told.config["mask_model"], told.config["dev"]) == ("minilm", "mini")
    none = job(file_store, written, data, base="bert-base", objective="simcse")
    assert (none.config["mask_model"], none.config["dev"]) == ("none", "stsb")
    assert first_news(none) == "base bert-base goes with dev task stsb (its dev split is in data)"


def test_a_teacher_without_a_mask_is_the_simcse_of_its_kind_too(file_store: Store, written: Run) -> None:
    wanted = job(file_store, written, base="bert-base", objective="simcse", rank="listnet")
    assert wanted.config["teacher"] == "simcse-unsup-bert"
    assert "teacher simcse-unsup-bert" in first_news(wanted)


def test_the_mask_model_of_its_own_is_chosen_on_stsb_too(file_store: Store, written: Run, data: Path) -> None:
    wanted = job(file_store, written, data, base="bert-base", mask_model="self")
    assert wanted.config["dev"] == "stsb"
    going = wanted.start()
    assert next(going).part == "its mask model"
    going.close()
    mask = file_store.run(wanted.config["mask_model_fingerprint"])
    assert (mask.config["dev"], mask.config["objective"]) == ("stsb", "simcse-unsup")


def test_without_stsb_in_the_data_the_bundled_pairs_choose_and_that_is_said(
    file_store: Store, tmp_path: Path, written: Run
) -> None:
    for data, says in ((None, "no data was given"), (tmp_path, "no STS-B dev in data")):
        wanted = job(file_store, written, data, base="bert-base")
        assert wanted.config["dev"] == "mini"
        assert f"dev task mini ({says}" in first_news(wanted)


def test_a_damaged_stsb_is_refused_and_not_passed_over(file_store: Store, written: Run, data: Path) -> None:
    (data / "STS" / "STSBenchmark" / "sts-dev.csv").write_text("no\tpairs\n")
    with pytest.raises(Problem, match=r"sts-dev\.csv, line 1"):
        job(file_store, written, data, base="bert-base")


def test_a_model_of_ones_own_keeps_the_embedded_encoder_and_hears_of_it(
    file_store: Store, written: Run, data: Path, tiny_encoder: Path
) -> None:
    """A folder does not say of which kind it is."""
    wanted = job(file_store, written, data, base=str(tiny_encoder), pooler="mean")
    assert (wanted.config["mask_model"], wanted.config["dev"]) == ("minilm", "stsb")
    assert "mask model minilm (no SimCSE of its kind is known), dev task stsb" in first_news(wanted)


def test_the_embedded_base_is_as_it_is_whatever_data_holds(file_store: Store, written: Run, data: Path) -> None:
    wanted = job(file_store, written, data)
    assert (wanted.config["base"], wanted.config["mask_model"], wanted.config["dev"]) == ("minilm-l4", "minilm", "mini")
    assert first_news(wanted) == ""


def test_a_simcse_that_is_not_there_is_named_with_its_setting_and_nothing_takes_its_place(
    file_store: Store, tmp_path: Path, written: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = catalog.ALIASES["bert-base"].hub
    assert hub is not None
    fetch(tmp_path / "other", hub, "bert-base")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "other"))
    with pytest.raises(Problem, match=r"^mask_model=simcse-unsup-bert: .* could not be fetched") as refused:
        job(file_store, written, base="bert-base")
    assert refused.value.setting == "mask_model"
    assert "minilm (embedded)" in refused.value.remedy


def test_without_a_way_to_the_hub_two_lines_say_so(file_store: Store, tmp_path: Path, written: Run) -> None:
    """As a process of its own, since the hub library reads its settings when it is loaded; no host is asked."""
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "0",
        "HF_ENDPOINT": "nowhere",
        "HF_HUB_CACHE": str(tmp_path / "empty"),
    }
    command = (
        sys.executable,
        "-m",
        "multicsr_cli",
        "train",
        written.id,
        "--base",
        "bert-base",
        "--db",
        file_store.path,
    )
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment)
    assert_problem(Ended(ended.returncode, ended.stdout, ended.stderr))
    assert "bert-base is not on this machine and could not be fetched" in ended.stderr


def test_the_shell_says_it_once(file_store: Store, written: Run, data: Path) -> None:
    """Before the first step, and not of a run that is complete."""
    file_store.close()
    asked = ("train", written.id, "--base", "bert-base", "--data", data, "--epochs", 1, "--train-batch", 5, "--dtype")
    ended = multicsr(*asked, "float32", "--db", str(file_store.path), "--json")
    said = "base bert-base goes with mask model simcse-unsup-bert"
    assert ended.json["dev"]["task"] == "stsb"
    assert ended.err.count(said) == 1
    again = multicsr(*asked, "float32", "--db", str(file_store.path), "--json")
    assert again.json["run"] == ended.json["run"]
    assert said not in again.err
