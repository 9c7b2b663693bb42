"""`multicsr train --objective`, and a mask model that is trained first: `--mask-model self`."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Piped
from shell import Ended, multicsr, start

from store.database import Store

OBJECTIVES = [
    ("--objective", "multicsr-released", "--sigma", 0.7),
    ("--objective", "simcse"),
    ("--objective", "simcse", "--tau", 0.1),
    ("--objective", "simcse-unsup"),
    ("--objective", "clhaif"),
    ("--objective", "clhaif", "--clhaif", "all"),
    ("--objective", "claif"),
    ("--objective", "simcse", "--rank", "listnet", "--teacher", "minilm-l4"),
    ("--objective", "simcse-unsup", "--rank", "listmle", "--teacher", "minilm-l4"),
]


def asked(piped: Piped, *more: object) -> tuple[object, ...]:
    """The training of the road, with its mask model left to the objective."""
    kept = [arg for arg in piped.commands["train"] if arg not in ("--mask-model", "none")]
    return (*kept, *more)


def listed(db: Path) -> list[Any]:
    found: list[Any] = multicsr("runs", "--db", db, "--json").json["runs"]
    return found


def test_every_objective_is_a_run_that_its_printed_command_makes(copied: Piped) -> None:
    """And that says what it trained on; typed again it is complete."""
    masked = ("--mask-model", copied.said["train"].json["checkpoint"])
    made = {copied.run("train")}
    for more in OBJECTIVES:
        guide = masked if "multicsr-released" in more else ()
        said = multicsr(*asked(copied, *more, *guide), "--db", copied.db, "--json").json
        assert said["triplets"] == copied.said["train"].json["triplets"]
        assert (said["masked_share"] > 0) <= bool(guide)
        made.add(said["run"])
    assert len(made) == len(OBJECTIVES) + 1
    for row in listed(copied.db):
        if row["stage"] == "train":
            again = multicsr(*shlex.split(row["command"])[1:], "--db", copied.db, "--json")
            assert again.json["run"] == row["run"], row["command"]
            assert "complete already" in again.err
            made.discard(row["run"])
    assert made == set()


def test_multicsr_by_name_is_the_run_it_is_without(copied: Piped) -> None:
    said = multicsr(*copied.commands["train"], "--objective", "multicsr", "--db", copied.db, "--json")
    assert said.json["run"] == copied.run("train")
    assert "complete already" in said.err


def test_a_mask_model_of_its_own_is_a_run_of_its_own(copied: Piped) -> None:
    """Unsupervised SimCSE on the same premises first: listed, used, and not trained again by the next."""
    command = asked(copied, "--mask-model", "self", "--sigma", 0.5)
    before = {row["run"] for row in listed(copied.db)}
    said = multicsr(*command, "--db", copied.db, "--json")
    new = [row for row in listed(copied.db) if row["run"] not in before]
    assert ["--objective simcse-unsup" in row["command"] for row in new] == [True, False]
    assert [row["state"] for row in new] == ["complete"] * 2
    assert new[1]["run"] == said.json["run"]
    assert "--mask-model self" in new[1]["command"]
    assert said.json["masked_share"] > 0
    again = multicsr(*shlex.split(new[1]["command"])[1:], "--db", copied.db, "--json")
    assert again.json["run"] == said.json["run"]
    other = multicsr(*command, "--lr", 1e-5, "--db", copied.db, "--json")
    assert other.json["run"] != said.json["run"]
    assert len(listed(copied.db)) == len(before) + 3  # the mask model stays the one it is
    store = Store.open(copied.db, create=False, write=False)
    assert store.one("SELECT environment ->> 'mask_run' FROM runs WHERE id = ?", [said.json["run"]]) == (new[0]["run"],)


def test_a_mask_model_that_was_cut_short_goes_on(copied: Piped) -> None:
    """Interrupted while the mask model is trained: the same command ends with both runs, as without a break."""
    command = (*asked(copied, "--mask-model", "self", "--seed", 3), "--epochs", 1, "--db", copied.db)
    going = start(*command)
    assert going.stderr is not None
    for line in going.stderr:
        if "its mask model" in line:
            going.send_signal(signal.SIGINT)
            break
    _, rest = going.communicate()
    assert going.returncode == 130
    assert "its mask model: " in rest
    assert "the same command goes on" in rest
    ended = multicsr(*command, "--json")
    assert [row["state"] for row in listed(copied.db) if row["run"] == ended.json["run"]] == ["complete"]
    assert all(row["state"] == "complete" for row in listed(copied.db) if row["stage"] == "train")


def test_settings_that_an_objective_does_not_read(refuse: Callable[..., Ended], piped: Piped) -> None:
    train = asked(piped)
    refuse(*train, "--objective", "claif", "--sigma", 0.9, says="--sigma 0.9 has no use with --objective claif")
    refuse(*train, "--objective", "claif", "--mask-model", "nosuch", says="--mask-model nosuch has no use")
    refuse(*train, "--objective", "claif", "--own", "premise", says="--own premise has no use")
    refuse(*train, "--mask-model", "none", "--sigma", 0.9, says="--sigma 0.9 has no use with --mask-model none")
    refuse(*train, "--mask-model", "none", "--own", "place", says="--own place has no use with --mask-model none")
    refuse(*train, "--sigma", 0.9, "--sigma-margin", 0, says="--sigma-margin 0 and --sigma 0.9 are two thresholds")
    released = ("--objective", "multicsr-released", "--sigma-margin", 0.1)
    refuse(*train, *released, says="--sigma-margin 0.1 has no use with --objective multicsr-released")
    refuse(*train, "--objective", "claif", "--tau", 0.05, says="--tau 0.05 has no use")
    refuse(*train, "--objective", "clhaif", "--clhaif", "some", says="--clhaif 'some' is not known")
    refuse(*train, "--clhaif", "all", says="--clhaif all has no use with --objective multicsr")
    refuse(*train, "--rank", "listwise", says="--rank 'listwise' is not known")
    refuse(*train, "--teacher", "minilm", says="--teacher minilm has no use without --rank listnet")
    refuse(*train, "--rank", "listnet", "--teacher", "nosuch", says="nosuch")
    refuse(*train, "--objective", "claif", "--rank", "listnet", says="--rank listnet has no use")
    refuse(*train, "--objective", "infonce", says="--objective 'infonce' is not known")
    refuse(*train, "--mask-model", "self", "--lr", 3, says="--lr 3 is out of range")  # before anything is trained


@pytest.mark.parametrize("objective", ["clhaif", "claif"])
def test_scores_are_asked_for_where_there_are_none(refuse: Callable[..., Ended], piped: Piped, objective: str) -> None:
    train = asked(piped, "--objective", objective)
    refuse(train[0], piped.run("gen"), *train[1:], says=f"gen run {piped.run('gen')} has none")
