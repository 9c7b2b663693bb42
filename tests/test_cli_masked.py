"""What a mask removed, printed and in the browser: the most often masked first, and what to do where there is nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browsing import MADE, Walk, in_a_terminal, small, walk
from shell import multicsr, refused
from test_train_stage import CONFIG, UNMASKED

import multicsr as api
from multicsr_cli import shown_masked
from store.database import Store
from store.read.masked import ListedMasked, Mask
from store.records import Run
from store.rows import masked
from store.rows.masked import MaskedPair

GOLDEN = Path(__file__).parent / "golden"

# What `small` keeps, in the order in which it is read.
KEPT = [MADE[place] for place in (0, 1, 8, 9)]
PAIRS = [
    MaskedPair(1, 0, "entailment", 0.5, 1),
    MaskedPair(2, 3, "contradiction", 0.98, 3),
    MaskedPair(0, 1, "entailment", 0.9712, 12),
    MaskedPair(3, 2, "contradiction", 0.99, 3),
]
ORDERED = [PAIRS[2], PAIRS[3], PAIRS[1], PAIRS[0]]
COUNTS = {"triplets": 4, "steps": 6, "masked_share": 0.03125}


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "s.db"


@pytest.fixture
def runs(db: Path) -> dict[str, Run]:
    """A store with a training that masked, one in which nothing reached σ, one without a mask and an unfinished one."""
    corpus = small(db)
    store = Store.open(db)
    seeds = {
        "masked": CONFIG,
        "nothing": replace(CONFIG, seed=1, sigma=0.999),
        "no mask": replace(UNMASKED, seed=2),
        "unfinished": replace(CONFIG, seed=3),
    }
    found = {name: store.begin("train", 2, config, corpus.id) for name, config in seeds.items()}
    masked.add(store, found["masked"], [corpus], PAIRS)
    for name, run in found.items():
        if name != "unfinished":
            share = {"masked_share": 0.0} if name != "masked" else {}
            found[name] = store.finish(run, {**COUNTS, **share})
    store.close()
    return found


def documents(pairs: list[MaskedPair]) -> list[dict[str, Any]]:
    return [
        {
            "premise": KEPT[pair.place].x,
            "other_premise": KEPT[pair.other].x,
            "hypothesis": KEPT[pair.other].x_plus if pair.side == "entailment" else KEPT[pair.other].x_minus,
            "role": pair.side,
            "cosine": pair.cosine,
            "times": pair.times,
        }
        for pair in pairs
    ]


def shown(*args: object, db: Path) -> Any:
    return multicsr("inspect", *args, "--masked", "--db", db, "--json").json


def rows(*args: object, db: Path) -> list[dict[str, Any]]:
    ids = ("premise_id", "other_premise_id")
    return [{name: value for name, value in row.items() if name not in ids} for row in shown(*args, db=db)["rows"]]


def test_pairs_are_printed_for_a_program(db: Path, runs: dict[str, Run]) -> None:
    run = runs["masked"].id
    whole = shown(run, db=db)
    assert {name: value for name, value in whole.items() if name != "rows"} == {
        "run": run,
        "mask_model": "bert",
        "sigma": 0.97,
        "masked_share": 0.03125,
        "pairs": 4,
    }
    assert rows(run, db=db) == documents(ORDERED)
    store = Store.open(db, write=False)
    texts = dict(store.rows("SELECT id, text FROM premises"))
    assert [texts[row["premise_id"]] for row in whole["rows"]] == [KEPT[pair.place].x for pair in ORDERED]
    assert [texts[row["other_premise_id"]] for row in whole["rows"]] == [KEPT[pair.other].x for pair in ORDERED]
    assert rows(run[:6], "--limit", 2, "--offset", 1, db=db) == documents(ORDERED[1:3])
    assert rows(run, "--search", "museum", db=db) == documents(ORDERED[1:3])
    assert rows(run, "--search", "dry", db=db) == documents([PAIRS[3]])
    assert shown(run, "--search", "no such words", db=db)["rows"] == []
    empty = shown(runs["nothing"].id, db=db)
    assert (empty["rows"], empty["pairs"], empty["masked_share"]) == ([], 0, 0.0)


def test_pairs_are_printed_for_a_person(db: Path, runs: dict[str, Run]) -> None:
    told = multicsr("inspect", runs["masked"].id, "--masked", "--db", db, "--limit", 4)
    assert told.code == 0
    places = [told.out.index(text) for text in ("0.971", "0.990", "0.980", "0.500")]
    assert places == sorted(places)
    for text in ("3.12 % of negatives", "σ 0.97", "bert", "always masked"):
        assert text in told.out
    assert told.out.count("entailment *") == 1
    assert "more: --offset 4" in told.err
    above = multicsr("inspect", runs["masked"].id, "--masked", "--db", db, "--limit", 3)
    assert "always masked" not in above.out
    nothing = multicsr("inspect", runs["nothing"].id, "--masked", "--db", db)
    assert nothing.code == 0
    assert "nothing was masked: by bert no negative reaches σ 0.999" in nothing.err


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (Mask("minilm", 0.9, None, None, 0.0), "σ 0.9"),
        (Mask("minilm", 0.712345, 0.025, None, 0.0), "σ 0.7123 (the nearest 2.5 % of cross pairs)"),
        (Mask("minilm", None, None, 0.05, 0.0), "the own positive's cosine +0.05"),
        (Mask("minilm", None, None, -0.1, 0.0), "the own positive's cosine -0.1"),
        (Mask("minilm", None, None, 0.0, 0.0), "the own positive's cosine"),
    ],
)
def test_each_threshold_is_told_in_words(mask: Mask, says: str) -> None:
    assert shown_masked.threshold(mask) == says


def test_a_cosine_below_sigma_by_rounding_alone_is_no_repeated_positive() -> None:
    """A quantile's σ is the cosine of one of the pairs, and comes out of other sums than theirs."""
    mask, row = (
        Mask("minilm", 0.7123456, 0.02, None, 0.1),
        ListedMasked("x", "y", "z", "entailment", 0.7123455, 1, 1, 2),
    )
    assert not shown_masked.repeats(mask, row)
    assert shown_masked.repeats(mask, row._replace(cosine=0.71))


@pytest.mark.parametrize(
    ("name", "says", "remedy"),
    [
        ("no mask", "has no mask (--mask-model none)", "--mask-model minilm"),
        ("unfinished", "is not finished", "multicsr train"),
    ],
)
def test_without_a_mask_or_an_end_it_says_what_to_do(
    db: Path, runs: dict[str, Run], name: str, says: str, remedy: str
) -> None:
    ended = refused(db, "inspect", runs[name].id, "--masked")
    assert says in ended.err
    assert remedy in ended.err.splitlines()[1]


def test_a_run_that_is_no_training_and_filters_of_verdicts_are_refused(db: Path, runs: dict[str, Run]) -> None:
    assert "takes a train run" in refused(db, "inspect", runs["masked"].parent, "--masked").err
    assert "verdict" in refused(db, "inspect", "--masked", "--rejected").err
    assert "verdict" in refused(db, "inspect", "--masked", "--reason", "copy").err


def test_python_gives_the_same_rows(db: Path, runs: dict[str, Run]) -> None:
    with api.open(db) as store:
        found = {run.id: run for run in store.runs()}
        table = found[runs["masked"].id].masked()  # type: ignore[attr-defined]
        assert [dict(row) for row in table.remove_columns(["premise_id", "other_premise_id"])] == documents(ORDERED)
        assert len(found[runs["nothing"].id].masked()) == 0  # type: ignore[attr-defined]
        with pytest.raises(api.Problem, match="has no mask"):
            found[runs["no mask"].id].masked()  # type: ignore[attr-defined]


def test_rows_are_printed_without_loading_the_browser(db: Path, runs: dict[str, Run]) -> None:
    args = ["inspect", runs["masked"].id, "--masked", "--json", "--db", str(db)]
    told = (
        f"import sys\nfrom multicsr_cli.main import app\napp({args!r}, standalone_mode=False)\n"
        "sys.exit('textual' in sys.modules or 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert (done.returncode, len(json.loads(done.stdout)["rows"])) == (0, 4), done.stderr


def seen(on: Walk) -> list[str]:
    """The premises of the pairs that are listed."""
    return [row.premise for row in on.app.pairs.rows]


def test_the_tab_tells_each_training_what_it_masked(db: Path, runs: dict[str, Run]) -> None:
    async def steps(on: Walk) -> None:
        await on.press("6")
        assert "is not finished" in on.screen  # the newest
        await on.press("right")
        assert seen(on) == [KEPT[pair.place].x for pair in ORDERED]
        assert "3.12 % of negatives" in on.screen
        assert "1 of 4 pairs" in on.screen
        assert "masked in 12 batches, cosine 0.9712" in on.screen
        for text in (KEPT[0].x, KEPT[1].x_plus, KEPT[1].x):
            assert text in on.screen
        await on.press("down", "down", "down")
        assert "masked in one batch" in on.screen
        assert "always masked" in on.screen
        assert "4 of 4 pairs" in on.screen
        await on.press("right")
        assert "nothing was masked: by bert no negative reaches σ 0.999" in on.screen
        await on.press("right")
        assert "has no mask (mask_model=none): train with a mask model" in on.screen
        await on.press("left", "left", "down")
        assert "2 of 4 pairs" in on.screen  # the keys go to the list again
        await on.press("2", "end", "up", "up", "up", "enter", "6")
        assert on.app.training == 3
        assert f"train {runs['masked'].id}" in on.screen

    walk(db, steps, size=(100, 30))


def test_pairs_are_searched_as_words_are_typed(db: Path, runs: dict[str, Run]) -> None:
    async def steps(on: Walk) -> None:
        await on.press("6", "right", "slash")
        await on.type("museum")
        assert seen(on) == [KEPT[3].x, KEPT[2].x]
        await on.press("enter", "down")
        assert "2 of 2 pairs · “museum”" in on.screen
        await on.press("slash", "x")
        assert "no pair has these words" in on.screen
        await on.press("enter", "escape", "down")
        assert len(seen(on)) == 4
        assert "2 of 4 pairs" in on.screen
        await on.press("1")
        assert len(on.shown) == len(MADE)  # the triplets were not searched

    walk(db, steps)


def test_no_word_is_said_over_a_triplet_that_is_out_of_sight(db: Path, runs: dict[str, Run]) -> None:
    async def steps(on: Walk) -> None:
        await on.press("6", "right", "d", "k", "D", "w")
        assert not on.app.asking
        await on.press("1", "a", "6", "w")

    walk(db, steps)
    store = Store.open(db, write=False)
    assert store.one("SELECT count(*) FROM reviews") == (0,)
    assert store.one("SELECT count(*) FROM runs WHERE stage = 'curate'") == (1,)


def test_into_a_pair_and_back(db: Path, runs: dict[str, Run]) -> None:
    async def steps(on: Walk) -> None:
        await on.press("6", "right", "enter")
        assert on.app.query_one("#pair").has_focus
        await on.press("tab")
        assert on.app.pairs.table.has_focus
        await on.press("tab")
        assert on.app.query_one("#pair").has_focus

    walk(db, steps)


@pytest.mark.skipif(os.name != "posix", reason="a terminal of its own")
def test_in_a_terminal_the_command_opens_the_tab(db: Path, runs: dict[str, Run]) -> None:
    drawn = (b"12 batches", KEPT[0].x.encode())
    in_a_terminal("inspect", runs["masked"].id, "--masked", "--search", "dog", "--db", db, drawn=drawn)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
def test_the_screen_is_as_it_was(db: Path, runs: dict[str, Run], size: tuple[int, int]) -> None:
    """MULTICSR_UPDATE_GOLDEN=1 writes the screens anew."""
    golden = GOLDEN / f"browse-masked-{size[0]}x{size[1]}.txt"

    async def steps(on: Walk) -> None:
        await on.press("6", "right", "down")
        screen = on.screen.replace(runs["masked"].id, "0" * 12)  # a hash of every setting of a training
        if os.environ.get("MULTICSR_UPDATE_GOLDEN"):
            golden.write_text(screen, encoding="utf-8")
        assert screen == golden.read_text(encoding="utf-8")

    walk(db, steps, size=size)


@pytest.mark.parametrize("size", [(40, 10), (20, 5), (300, 80)])
def test_a_screen_of_another_size_does_no_harm(db: Path, runs: dict[str, Run], size: tuple[int, int]) -> None:
    async def steps(on: Walk) -> None:
        await on.press("6", "right")
        await on.pilot.resize_terminal(*size)
        await on.settle()
        assert max(map(len, on.screen.splitlines())) <= size[0]
        await on.press("end", "enter", "tab", "home")
        await on.pilot.resize_terminal(80, 24)
        await on.settle()
        assert "1 of 4 pairs" in on.screen

    walk(db, steps)
