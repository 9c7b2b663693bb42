"""The browser, walked through by a pilot as a person would: what is seen, and what the store holds afterwards."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from browsing import MADE, Walk, in_a_terminal, small, walk
from rows import CURATE, GEN, SCORE, Made, add_drafts, add_premises, scored
from textual import events

from multicsr_cli.browse.numbers import Chosen
from stages import curate
from store.database import Store
from store.records import Run, ScoreRow
from store.rows import reviews, scores, training

GOLDEN = Path(__file__).parent / "golden"
TEXTS = [one.x for one in MADE]
KEPT = [TEXTS[place] for place in (0, 1, 8, 9)]


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "s.db"


@pytest.fixture
def run(db: Path) -> Run:
    return small(db)


def words(db: Path, run: Run) -> list[tuple[str, str | None, str]]:
    """(premise, verdict, note) of every word that was ever said, oldest first."""
    store = Store.open(db, write=False)
    found = store.rows(
        "SELECT text, verdict, note FROM reviews JOIN premises ON premises.id = premise ORDER BY reviews.id"
    )
    store.close()
    return found


def test_filters_leave_what_they_say(db: Path, run: Run) -> None:
    async def steps(on: Walk) -> None:
        assert on.shown == TEXTS
        await on.press("v")
        assert on.shown == KEPT
        await on.press("v")
        assert on.shown == [text for text in TEXTS if text not in KEPT]
        assert "6 (of 10) · dropped" in on.screen
        await on.press("escape")
        reasons = []
        for _ in range(6):
            await on.press("r")
            reasons.append((on.app.state.chosen.reason, len(on.shown)))
        assert sorted(reasons) == [
            ("a<alpha", 1), ("a<b+gamma", 1), ("b>beta", 1), ("empty", 1), ("refusal", 1), ("unscored", 1),
        ]  # fmt: skip
        await on.press("R", "R")
        assert on.app.state.chosen.reason == reasons[-3][0]
        await on.press("escape", "f")
        await on.type("a>=4 b<1.5")
        await on.press("enter")
        assert on.shown == [TEXTS[place] for place in (0, 1, 5, 8)]
        await on.press("escape", "f")
        await on.type("c>1")
        await on.press("enter")
        assert "'c>1' is no score range" in on.screen
        assert on.shown == TEXTS

    walk(db, steps, run)


def test_words_are_found_as_they_are_typed(db: Path, run: Run) -> None:
    async def steps(on: Walk) -> None:
        await on.press("slash")
        await on.type("radio")
        assert on.shown == [TEXTS[3]]
        assert "search: radio" in on.screen
        await on.press("backspace", "backspace", "backspace")  # "ra": the beginning of a word
        assert on.shown == [TEXTS[3], TEXTS[8]]
        await on.press("enter")
        assert "“ra”" in on.screen
        await on.press("escape")
        assert on.shown == TEXTS
        await on.press("slash")
        await on.type("xyzzy")
        assert on.shown == []
        assert "nothing is left by these filters" in on.screen
        await on.press("escape")  # what was begun is left: all rows are back
        assert on.shown == TEXTS
        await on.press("slash")
        await on.type('* OR "')  # no query syntax, and no error
        assert on.shown == []

    walk(db, steps, run)
    assert words(db, run) == []  # Enter ends a search, and says nothing of any triplet


def test_what_is_typed_faster_than_the_screen_is_drawn_is_the_answer(db: Path, run: Run) -> None:
    """Not one letter behind the / is taken for a key: "ra" would be the next reason and a lower threshold."""

    async def steps(on: Walk) -> None:
        before = on.app.state.now
        for key, character in (("slash", "/"), ("r", "r"), ("a", "a"), ("d", "d")):
            on.app.post_message(events.Key(key, character))
        await on.settle()
        assert "search: rad" in on.screen
        assert on.shown == [TEXTS[3]]
        assert on.app.state.now == before
        assert on.app.state.chosen.reason is None

    walk(db, steps, run)


def test_rows_are_sorted_by_each_quantity_both_ways(db: Path, run: Run) -> None:
    async def steps(on: Walk) -> None:
        for sort in ("a", "b", "a−b", "length", "premise"):
            await on.press("o")
            assert on.app.state.chosen.sort == sort
            up = on.shown
            await on.press("O")
            down = on.shown
            assert sorted(up) == sorted(down) == sorted(TEXTS)
            scored = [one for one in MADE if one.a is not None and one.b is not None]
            by = {
                "a": lambda one: one.a,
                "b": lambda one: one.b,
                "a−b": lambda one: one.a - one.b,
                "length": lambda one: len(one.x),
                "premise": lambda one: TEXTS.index(one.x),
            }[sort]
            values = {one.x: by(one) for one in scored}
            assert [values[text] for text in up if text in values] == sorted(values.values())
            assert [values[text] for text in down if text in values] == sorted(values.values(), reverse=True)
            await on.press("O")

    walk(db, steps, run)


def test_the_cursor_stays_on_its_premise_and_jumps(db: Path, run: Run) -> None:
    async def steps(on: Walk) -> None:
        await on.press("n")
        assert on.at == TEXTS[2]
        await on.press("o", "v", "v")  # another order, only dropped ones: it is still there
        assert on.at == TEXTS[2]
        await on.press("escape", "O", "O", "n", "N")
        await on.press("p")
        await on.type("9")
        await on.press("enter")
        assert on.at == TEXTS[8]
        await on.press("p")
        await on.type("radio")
        await on.press("enter")
        assert on.at == TEXTS[3]
        for wanted, said in (("99", "there is no premise 99"), ("9", "is not among the rows shown")):
            await on.press("v", "v") if wanted == "9" else None
            await on.press("p")
            await on.type(wanted)
            await on.press("enter")
            assert said in on.screen
        await on.press("escape", "end")
        assert on.at == on.shown[-1]
        await on.press("home", "N")
        assert on.at == on.shown[0]

    walk(db, steps, run)


def test_a_triplet_is_told_in_full_and_in_words(db: Path, run: Run) -> None:
    wanted = {
        0: "kept: a = 4.5 reaches α = 3, b = 0.5 stays within β = 3",
        2: "dropped: a = 2.75 is below α = 3",
        3: "dropped: b = 4 is above β = 3",
        4: "dropped: a − b = 0.5 is below γ = 1",
        5: "dropped: the contradiction is a refusal",
        6: "dropped: the entailment is empty",
        7: "dropped: the reply holds no number for a",
    }

    async def steps(on: Walk) -> None:
        await on.press("enter")
        for place, said in wanted.items():
            on.app.rows.choose(place)
            await on.settle()
            screen = " ".join(on.screen.split())
            assert said in screen
            for text in (MADE[place].x, MADE[place].x_plus, MADE[place].x_minus):
                assert text in screen
            assert "ω 0 " in screen  # the other run, side by side
            assert f"About {MADE[place].x}:" in screen  # the prompt with the premise in it
        await on.press("enter")
        assert not on.app.query_one("#triplets").has_class("zoomed")

    walk(db, steps, run, size=(100, 45))


def test_copying_gives_the_triplet_to_the_terminal(db: Path, run: Run) -> None:
    async def steps(on: Walk) -> None:
        await on.press("c")
        assert on.app.clipboard == "\t".join((MADE[0].x, MADE[0].x_plus, MADE[0].x_minus))

    walk(db, steps, run)


def test_a_moved_threshold_is_seen_at_once_and_written_as_a_run(db: Path, run: Run) -> None:
    async def steps(on: Walk) -> None:
        await on.press(*"aaa", "B")
        assert on.app.state.now is not None
        assert (on.app.state.now["alpha"], on.app.state.now["beta"]) == (2.7, 3.1)
        assert "α 3→2.7 β 3→3.1" in on.screen
        assert "kept 5  +1 −0" in on.screen
        await on.press("v", "v", "v")
        assert on.shown == [TEXTS[2]]
        assert "+ The train" in on.screen
        await on.press("escape", *"GGGG")
        assert "kept 4  +1 −1" in on.screen
        await on.press("0")
        assert on.app.state.now == on.app.state.own
        await on.press("w")
        assert "move one first" in on.screen
        await on.press(*"aaa", "w")
        assert on.app.state.run is not None
        assert on.app.state.run.id != run.id
        assert "5 kept" in on.screen

    before = len(Store.open(db).rows("SELECT id FROM runs"))
    walk(db, steps, run)
    store = Store.open(db)
    config = replace(CURATE, alpha=2.7)
    made = store.begin("curate", curate.VERSION, config, run.parent)
    assert (made.counts["kept"], len(store.rows("SELECT id FROM runs"))) == (5, before + 1)
    assert store.run(run.id) == run


def test_a_score_run_that_nobody_curated_can_be(db: Path, run: Run) -> None:
    store = Store.open(db)
    score = store.run(str(run.parent))
    store.close()

    async def steps(on: Walk) -> None:
        assert " keep" not in on.screen
        await on.press("A")  # from the usual thresholds on
        assert "α 3.1" in on.screen
        await on.press("w")
        assert on.app.state.run is not None
        assert on.app.state.run.stage == "curate"
        assert on.app.state.run.config["alpha"] == 3.1

    walk(db, steps, score)


def test_a_floor_under_the_contradictions_is_moved_told_and_written(db: Path, run: Run) -> None:
    async def steps(on: Walk) -> None:
        await on.press(*"M" * 12)
        assert "b≥ 0→1.2" in on.screen
        assert "kept 2  +0 −2" in on.screen
        assert "b = 0.5 is below 1.2: too easy a negative" in on.screen
        await on.press("w")
        assert on.app.state.run is not None
        assert on.app.state.run.config["min_contradiction"] == 1.2
        await on.press(*"M" * 20, "w")
        assert "above beta=3" in on.screen

    walk(db, steps, run)


def test_thresholds_stay_in_their_range(db: Path, run: Run) -> None:
    async def steps(on: Walk) -> None:
        await on.press(*"A" * 25)
        assert on.app.state.now is not None
        assert on.app.state.now["alpha"] == 5.0

    walk(db, steps, run)


def test_a_word_is_said_noted_and_taken_back(db: Path, run: Run) -> None:
    async def steps(on: Walk) -> None:
        await on.press("d")
        assert "dropped by a person; the rule: a = 4.5 reaches α = 3" in on.screen
        assert "D  A dog" in on.screen
        assert "by review 1" in " ".join(on.screen.split())
        await on.press("down", "down", "K")
        await on.type("good enough")
        await on.press("enter")
        assert "kept by a person; the rule: a = 2.75 is below α = 3" in on.screen
        assert "a person keeps it: good enough" in on.screen
        await on.press("v", "v", "v", "v")
        assert on.shown == [TEXTS[0], TEXTS[2]]
        await on.press("escape", "home", "u")
        assert "taken back: the rule decides" in on.screen
        await on.press("down", "u")
        assert "no word of a person" in on.screen
        await on.press("p")
        await on.type("7")
        await on.press("enter", "k")
        assert "has no entailment: there is no triplet to keep" in on.screen

    walk(db, steps, run)
    assert words(db, run) == [
        (TEXTS[0], "drop", ""),
        (TEXTS[2], "keep", "good enough"),
        (TEXTS[0], None, ""),
    ]
    store = Store.open(db)
    assert [one.premise for one in training.triplets(store, run)] == [TEXTS[place] for place in (0, 1, 2, 8, 9)]


def test_a_word_outlives_the_next_curation(db: Path, run: Run) -> None:
    async def steps(on: Walk) -> None:
        await on.press("d", *"aaa", "w")
        assert on.app.state.run is not None
        assert on.app.state.run.id != run.id
        assert on.app.state.judged is not None
        assert not on.app.state.judged.kept[0]
        assert "dropped by a person" in on.screen

    walk(db, steps, run)


@pytest.mark.skipif(os.name != "posix", reason="mode bits")
def test_a_store_that_is_read_only_is_browsed_and_says_why_it_is_not_reviewed(db: Path, run: Run) -> None:
    async def steps(on: Walk) -> None:
        assert on.shown == TEXTS
        for key in ("k", "d"):
            await on.press(key)
            assert "is read-only" in on.screen
        await on.press("a", "w")
        assert "is read-only" in on.screen

    db.chmod(stat.S_IRUSR)
    walk(db, steps, run, size=(120, 40))
    db.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert words(db, run) == []


def test_what_is_shown_is_exported_in_its_order(db: Path, run: Run, tmp_path: Path) -> None:
    async def steps(on: Walk) -> None:
        await on.press("v", "v", "o", "d")
        for name in ("rows.csv", "rows.jsonl", "rows.csv", "rows.txt", "none/rows.csv"):
            await on.press("e")
            on.app.query_one("#answer").value = str(tmp_path / name)  # type: ignore[attr-defined]
            await on.press("enter")
            said.append(on.screen.splitlines()[-2])

    said: list[str] = []
    walk(db, steps, run, size=(240, 24))
    assert "6 rows written" in said[0]
    assert "6 rows written" in said[1]
    assert "exists already" in said[2]
    assert "neither a .csv nor a .jsonl" in said[3]
    assert "does not exist" in said[4]
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    with (tmp_path / "rows.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    order = [TEXTS[place] for place in (2, 4, 3, 5, 6, 7)]
    assert [line["premise"] for line in lines] == [row["premise"] for row in table] == order
    assert lines[0] == {
        "premise": TEXTS[2], "entailment": MADE[2].x_plus, "contradiction": MADE[2].x_minus,
        "a": 2.75, "b": 0.25, "verdict": "drop", "reason": "a<alpha", "review": "drop",
    }  # fmt: skip
    assert {path.name for path in tmp_path.glob("*rows*")} == {"rows.csv", "rows.jsonl"}


def test_runs_are_opened_from_their_list(db: Path, run: Run) -> None:
    async def steps(on: Walk) -> None:
        await on.press("2")
        assert on.screen.count("complete") == 5
        await on.press("home", "enter")
        assert on.app.tab == "triplets"
        assert on.app.state.run is not None
        assert on.app.state.run.stage == "gen"
        assert on.shown == TEXTS
        await on.press("a")
        assert "nothing is scored yet" in on.screen
        await on.press("d")
        assert on.app.state.judged is not None
        assert on.app.state.numbers is not None
        assert on.app.state.numbers.names[int(on.app.state.judged.code[0])] == "review"
        await on.press("3")
        assert "└─ score" in on.screen
        await on.press("4", "5")
        assert "nothing was trained yet" in on.screen
        await on.press("question_mark")
        assert "the next, the previous dropped row" in on.screen
        await on.press("escape", "1")
        assert on.app.tab == "triplets"

    walk(db, steps, run)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (40, 10), (20, 5), (300, 80)])
def test_a_screen_of_another_size_does_no_harm(db: Path, run: Run, size: tuple[int, int]) -> None:
    async def steps(on: Walk) -> None:
        await on.press("end", "a")
        await on.pilot.resize_terminal(*size)
        await on.settle()
        assert len(on.screen.splitlines()) == size[1]
        assert max(map(len, on.screen.splitlines())) <= size[0]
        await on.press("2", "3", "4", "5", "question_mark", "escape", "1", "t", "t", "enter", "enter", "home")
        await on.pilot.resize_terminal(80, 24)
        await on.settle()
        assert on.at == TEXTS[0]
        assert "A dog runs" in on.screen

    walk(db, steps, run)


def test_an_empty_store_waits_for_its_first_run_and_follows_it(db: Path) -> None:
    """gen, then score, then curate, each seen while it is being written."""

    async def steps(on: Walk) -> None:
        assert "no runs yet" in on.screen
        await on.press(
            "v", "r", "o", "n", "a", "w", "k", "u", "c", "e", "2", "3", "4", "5", "1", "escape", "o", "o", "o", "o"
        )
        store = Store.open(db)
        there = add_premises(store, [one.x for one in MADE])
        gen = store.begin("gen", 1, GEN, None)
        add_drafts(store, gen, zip(there[:4], MADE[:4], strict=True))
        with store.writing() as connection:
            connection.execute("UPDATE runs SET finished = NULL WHERE id = ?", [gen.id])
        await seen(on)
        assert on.shown == TEXTS[:4]
        assert "being written" in on.screen
        await on.press("down", "down")
        add_drafts(store, gen, zip(there[4:], MADE[4:], strict=True))
        await seen(on)
        assert on.shown == TEXTS
        assert on.at == TEXTS[2]
        assert "being written" not in on.screen
        store.close()

    Store.open(db).close()
    walk(db, steps)


def test_scores_are_followed_as_they_come(db: Path) -> None:
    async def steps(on: Walk) -> None:
        assert "not scored" in on.screen
        scores.add(
            store,
            score,
            [ScoreRow(there[0].id, "entailment", 4.0, "4"), ScoreRow(there[0].id, "contradiction", 1.0, "1")],
        )
        await seen(on)
        assert "scored      1" in on.screen
        await on.press("A")
        assert "kept 1" in on.screen
        await on.press("w")
        assert "is not finished" in on.screen

    store = Store.open(db)
    there = add_premises(store, ["one", "two"])
    gen = store.begin("gen", 1, GEN, None)
    add_drafts(store, gen, zip(there, (Made("one"), Made("two")), strict=True))
    score = store.begin("score", 1, SCORE, gen.id)
    walk(db, steps, score)
    store.close()


def test_words_of_others_are_heard(db: Path, run: Run) -> None:
    async def steps(on: Walk) -> None:
        store = Store.open(db)
        reviews.add(store, store.run(str(store.run(str(run.parent)).parent)), 1, "drop", "by somebody else")
        store.close()
        await seen(on)
        assert "by somebody else" in on.screen

    walk(db, steps, run)


def test_a_gen_run_without_scores(db: Path) -> None:
    async def steps(on: Walk) -> None:
        assert on.shown == TEXTS
        assert "kept" not in on.screen
        await on.press("t")
        assert "nothing is scored yet" in on.screen

    store = Store.open(db)
    gen = store.begin("gen", 1, GEN, None)
    add_drafts(store, gen, zip(add_premises(store, TEXTS), MADE, strict=True))
    walk(db, steps, store.run(gen.id))


def test_a_curation_that_looks_for_copies_says_that_it_has_yet_to_look(db: Path) -> None:
    async def steps(on: Walk) -> None:
        assert on.app.state.judged is not None
        assert on.app.state.judged.kept.sum() == 1
        await on.press("a")
        assert "at most" in on.screen

    store = Store.open(db)
    _, score, _ = scored(store, [Made("one", "One!", a=4.0, b=1.0), Made("two", a=4.0, b=1.0)])
    config = replace(CURATE, drop_copies=True)
    list(curate.run(store, config, score))
    walk(db, steps, store.begin("curate", curate.VERSION, config, score.id))


def test_flags_are_the_filters_to_begin_with(db: Path, run: Run) -> None:
    async def steps(on: Walk) -> None:
        assert on.shown == [TEXTS[3]]

    walk(db, steps, run, chosen=Chosen(verdict="drop", search="radio"))


async def seen(on: Walk) -> None:
    """What another connection wrote: the browser looks by the clock, a test does not wait for it."""
    await on.settle()
    on.app.read_for = 0.0
    on.app.follow()
    await on.settle()


@pytest.mark.skipif(os.name != "posix", reason="a terminal of its own")
def test_in_a_terminal_the_command_opens_it(db: Path, run: Run) -> None:
    drawn = in_a_terminal("inspect", "--db", db, "--rejected", drawn=[b"a<b+gamma"])
    assert TEXTS[2][:9].encode() in drawn
    assert TEXTS[0][:9].encode() not in drawn


def test_rows_are_printed_without_loading_the_browser(db: Path, run: Run) -> None:
    told = (
        "import sys\nfrom multicsr_cli.main import app\n"
        f"app(['inspect', '--json', '--db', {str(db)!r}], standalone_mode=False)\n"
        "sys.exit('textual' in sys.modules or 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert (done.returncode, len(json.loads(done.stdout)["rows"])) == (0, 10), done.stderr


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("triplets", ["n"]),
        ("thresholds", ["a", "a", "a", "n"]),
        ("lineage", ["3"]),
        ("help", ["question_mark"]),
    ],
)
def test_the_screen_is_as_it_was(db: Path, run: Run, size: tuple[int, int], name: str, keys: list[str]) -> None:
    """MULTICSR_UPDATE_GOLDEN=1 writes the screens anew."""
    golden = GOLDEN / f"browse-{name}-{size[0]}x{size[1]}.txt"

    async def steps(on: Walk) -> None:
        await on.press(*keys)
        if os.environ.get("MULTICSR_UPDATE_GOLDEN"):
            golden.write_text(on.screen, encoding="utf-8")
        assert on.screen == golden.read_text(encoding="utf-8")

    walk(db, steps, run, size=size)
