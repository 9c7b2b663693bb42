"""A labelled corpus joins the triplets of a run: every row of it counts, and nothing else about a training changes."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import PREMISES, Piped
from driven import finished
from rows import GEN, add_drafts, add_premises
from shell import Ended, multicsr
from test_train_stage import CONFIG, DEV, MADE, UNMASKED, Loaded, generated, loaders, never, result

from stages import train
from stages.config import TrainConfig
from stages.files import corpora
from store.database import Store
from store.problem import Problem
from store.records import Run, Triplet
from store.rows import reviews, training

__all__ = ["loaders"]  # a fixture

TRIPLET = ("A cat sleeps.", "An animal rests.", "No cat sleeps.")
CORPUS = [TRIPLET] * 7 + [
    (PREMISES[0], "A dog is outside.", "The dog is asleep."),
    ("Snow falls.", "It snows.", "It is hot."),
]
TRAIN = ("--pooler", "mean", "--mask-model", "none", "--train-batch", 4, "--dtype", "float32", "--epochs", 1)


def write(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("sent0", "sent1", "hard_neg"), *rows])
    return path


def imported(store: Store, path: Path) -> Run:
    # Premises in the order of the file, also those that come again.
    return finished(corpora.run(store, corpora.corpus(path), at_once=1))


def ticks(store: Store, config: TrainConfig, loads: train.Loaders, corpus: Path, **kwargs: Any) -> Any:
    parent = generated(store)
    config = replace(config, with_runs=(imported(store, corpus).id,))
    return train.run(store, config, parent, DEV, loads, 8, "cpu", **kwargs)


def trained(store: Store, config: TrainConfig, loads: train.Loaders, corpus: Path) -> Run:
    return finished(ticks(store, config, loads, corpus))


@pytest.mark.parametrize("objective", ["multicsr", "multicsr-released", "simcse", "simcse-unsup"])
def test_it_is_the_training_on_one_run_that_holds_both(
    file_store: Store, tmp_path: Path, loaders: Loaded, objective: str
) -> None:
    """Against the slow way: both corpora written into one file, copies and all, and that trained on alone."""
    config = replace(CONFIG if objective.startswith("multicsr") else UNMASKED, objective=objective)
    corpus = write(tmp_path / "nli.csv", CORPUS)
    joined = trained(file_store, config, loaders(config), corpus)
    own = [(one.x, one.x_plus, one.x_minus) for one in MADE]
    other = Store.open(tmp_path / "other.db")
    both = imported(other, write(tmp_path / "both.csv", own + CORPUS))
    assert list(training.triplets(other, both)) == [Triplet(*row) for row in own + CORPUS]
    alone = finished(train.run(other, config, both, DEV, loaders(config), 8, "cpu"))
    assert result(file_store, joined)[:2] == result(other, alone)[:2]
    assert result(file_store, joined)[-1] == result(other, alone)[-1]
    gen, nli = generated(file_store), imported(file_store, corpus)
    assert joined.counts["triplets"] == alone.counts["triplets"] == len(MADE) + len(CORPUS)
    assert joined.counts["triplets_from"] == {gen.id: len(MADE), nli.id: len(CORPUS)}
    assert "triplets_from" not in alone.counts


@pytest.mark.parametrize("own", ["place", "premise"])
def test_the_mask_finds_equal_premises_of_both_corpora(
    file_store: Store, tmp_path: Path, loaders: Loaded, own: str
) -> None:
    """One triplet a hundred and one times: by place all but the own are masked, and by premise the duplicates alone."""
    config = replace(CONFIG, epochs=1, eval_every=100, train_batch=200, sigma=-1.0, own=own)
    gen = file_store.begin("gen", 1, replace(GEN, premises="alone"), None)
    add_drafts(file_store, gen, zip(add_premises(file_store, [MADE[0].x], "alone"), MADE[:1], strict=True))
    copies = imported(file_store, write(tmp_path / "copies.csv", [(MADE[0].x, MADE[0].x_plus, MADE[0].x_minus)] * 100))
    config = replace(config, with_runs=(copies.id,))
    run = finished(train.run(file_store, config, file_store.run(gen.id), DEV, loaders(config), 8, "cpu"))
    assert run.counts["triplets"] == 101
    masked = 101 * 100 * (2 if own == "place" else 1)
    assert run.counts["masked_share"] == pytest.approx(masked / (101 * 201))


def test_several_corpora_join_in_the_order_given_and_one_may_come_twice(
    file_store: Store, tmp_path: Path, loaders: Loaded
) -> None:
    first, second = (imported(file_store, write(tmp_path / f"{n}.csv", CORPUS[n : n + 8])) for n in (0, 1))
    parent, runs = generated(file_store), {}
    for ids in ((first.id, second.id), (second.id, first.id), (first.id, first.id)):
        config = replace(UNMASKED, with_runs=ids)
        runs[ids] = finished(train.run(file_store, config, parent, DEV, loaders(config), 8, "cpu"))
    assert len({run.id for run in runs.values()}) == 3
    assert [run.counts["triplets"] for run in runs.values()] == [26] * 3
    assert runs[first.id, first.id].counts["triplets_from"] == {parent.id: 10, first.id: 16}


@pytest.mark.parametrize("count", [2, 5, 8])
def test_killed_and_run_again_equals_a_training_without_a_break(
    file_store: Store, tmp_path: Path, loaders: Loaded, count: int
) -> None:
    corpus = write(tmp_path / "nli.csv", CORPUS)
    opened = Store.open(tmp_path / "whole.db")
    whole = result(opened, trained(opened, CONFIG, loaders(CONFIG), corpus))
    going = ticks(file_store, CONFIG, loaders(CONFIG), corpus, resume_seconds=0.0)
    list(itertools.islice(going, count))
    going.close()
    run = trained(file_store, CONFIG, loaders(CONFIG), corpus)
    assert result(file_store, run) == whole
    list(ticks(file_store, CONFIG, train.Loaders(never, never), corpus))


def test_a_word_over_the_joined_corpus_is_part_of_what_is_trained(
    file_store: Store, tmp_path: Path, loaders: Loaded
) -> None:
    corpus = write(tmp_path / "nli.csv", CORPUS)
    parent, nli = generated(file_store), imported(file_store, corpus)
    premise = file_store.one("SELECT premise_id FROM triplets WHERE run = ?", [nli.id])[0]
    reviews.add(file_store, nli, premise, "drop")
    with pytest.raises(Problem, match="reviewed"):
        list(ticks(file_store, UNMASKED, train.Loaders(never, never), corpus))
    config = replace(UNMASKED, reviews_digest=reviews.applied(file_store, parent, nli))
    assert trained(file_store, config, loaders(config), corpus).counts["triplets"] == len(MADE) + len(CORPUS) - 1


def test_a_file_without_both_hypotheses_and_objectives_without_scores_are_refused(
    file_store: Store, tmp_path: Path
) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("text_a,text_b,label\nIt rains.,Rain falls.,1\n")
    with pytest.raises(Problem, match="holds no triplet"):
        list(ticks(file_store, UNMASKED, train.Loaders(never, never), pairs))
    assert file_store.one("SELECT count(*) FROM runs WHERE stage = 'train'") == (0,)


def test_the_command_imports_tells_apart_and_is_listed(copied: Piped, tmp_path: Path, tiny_encoder: Path) -> None:
    corpus = write(tmp_path / "nli.csv", CORPUS)
    db, asked = ("--db", copied.db), ("train", "--base", tiny_encoder, *TRAIN)
    said = multicsr(*asked, "--with", corpus, "--json", *db).json
    kept = copied.said["curate"].json["kept"]
    nli = multicsr("import", corpus, "--json", *db).json["run"]
    assert said["triplets"] == kept + len(CORPUS)
    assert said["triplets_from"] == {said["parent"]: kept, nli: len(CORPUS)}
    again = multicsr(*asked, "--with", nli, "--json", *db)
    assert again.json["run"] == said["run"]
    assert "complete already" in again.err
    card = (Path(said["checkpoint"]) / "README.md").read_text()
    assert f"{said['triplets']} triplets ({kept} that a language model wrote" in card
    assert f"| gen | `{nli}` |" in card
    (listed,) = [row for row in multicsr("runs", "--json", *db).json["runs"] if row["run"] == said["run"]]
    again = multicsr(*listed["command"].split()[1:], "--json", *db)
    assert again.json["run"] == said["run"]


def test_wrong_files_are_refused(refuse: Callable[..., Ended], tmp_path: Path) -> None:
    corpus = write(tmp_path / "nli.csv", CORPUS)
    empty = write(tmp_path / "empty.csv", [])
    refuse("train", "--with", tmp_path / "no.csv", says="is no file, and no run begins with")
    refuse("train", "--with", empty, says="holds no triplet")
    refuse("train", "--with", tmp_path, says="there is no file")
    for objective in ("clhaif", "claif"):
        refuse("train", "--with", corpus, "--objective", objective, says="learns from scores")
