"""The store's rows: identity of runs, premises, strict tables, views. Law by law, against plain Python."""

from __future__ import annotations

import itertools
import json
import sqlite3
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import CURATE, GEN, SCORE, Made, add_drafts, add_premises, content, scored

from stages import curate
from store.database import Store, spend
from store.problem import Problem
from store.read import figures, runs, triplets
from store.read import funnel as levels
from store.records import DraftRow, Premise, ScoreRow, as_config, canonical, run_id
from store.rows import drafts, premises, scores, training
from store.rows.decisions import plain
from store.rows.training import MetricRow
from store.rule import LEVELS

MADE = [
    Made("A dog runs.", "A dog moves.", "No dog runs.", a=4.0, b=1.0),
    Made("Rain falls.", "It rains.", "It is dry.", a=2.0, b=0.5),
    Made("He sings.", "He makes music.", "", c_problem="empty", a=4.5, b=None),
    Made("She sleeps.", "She rests.", "She is awake.", a=4.0, b=3.5),
    Made("They ate.", "They had food.", "They fasted.", a=5.0, b=0.0),
]


def test_a_run_has_the_same_id_in_every_store() -> None:
    one, two = Store.memory(), Store.memory()
    two.begin("gen", 1, replace(GEN, seed=9), None)  # what is there already changes nothing
    assert one.begin("gen", 1, GEN, None).id == two.begin("gen", 1, GEN, None).id
    assert one.begin("score", 1, SCORE, one.begin("gen", 1, GEN, None).id) == two.begin(
        "score", 1, SCORE, two.begin("gen", 1, GEN, None).id
    )


def test_each_part_of_a_run_changes_its_id(store: Store) -> None:
    gen = store.begin("gen", 1, GEN, None)
    other = store.begin("gen", 1, replace(GEN, omega=0.31), None)
    ids = [
        gen.id,
        other.id,
        store.begin("gen", 2, GEN, None).id,
        store.begin("score", 1, SCORE, gen.id).id,
        store.begin("score", 1, SCORE, other.id).id,
        store.begin("score", 1, replace(SCORE, dtype="bfloat16"), gen.id).id,
    ]
    assert len(set(ids)) == len(ids)


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()))
def test_an_id_does_not_depend_on_the_order_of_fields(config: dict[str, object]) -> None:
    config = {key: value for key, value in config.items() if value not in (float("inf"), float("-inf"))}
    turned = dict(reversed(list(config.items())))
    assert run_id("gen", 1, None, config) == run_id("gen", 1, None, turned)
    assert json.loads(canonical(config)) == config


def test_beginning_twice_is_one_row_and_the_environment_is_not_identity(store: Store) -> None:
    first = store.begin("gen", 1, GEN, None, environment={"device": "cpu"})
    second = store.begin("gen", 1, GEN, None, environment={"device": "cuda"})
    assert first == second
    assert store.one("SELECT count(*) FROM runs") == (1,)
    assert json.loads(store.one("SELECT environment FROM runs")[0])["device"] == "cpu"


def test_a_run_is_known_from_its_beginning_and_finished_as_it_is_stored(store: Store) -> None:
    id = run_id("gen", 1, None, as_config(GEN))
    assert store.known(id) is None
    with pytest.raises(ValueError, match=id):
        store.run(id)
    begun = store.begin("gen", 1, GEN, None)
    assert (begun.id, begun.finished, store.known(id)) == (id, None, begun)
    with store.writing() as connection:
        spend(connection, begun, {"tokens": 7})
    finished = store.finish(begun, {"premises": 1})
    assert finished == store.run(id)
    assert finished.counts == {"tokens": 7, "premises": 1}
    again = store.finish(begun, {"premises": 1})
    assert again == finished  # the first time stays
    assert finished.finished is not None


def test_a_run_is_found_by_id_prefix_and_latest(store: Store) -> None:
    old, new = store.begin("gen", 1, GEN, None), store.begin("gen", 1, replace(GEN, seed=1), None)
    with pytest.raises(Problem, match="no finished gen run"):
        store.find("latest", ("gen",))
    store.finish(new, {"premises": 1})
    store.finish(old, {"premises": 1})
    assert store.find("latest", ("gen",)).id == old.id  # newest finished, not newest begun
    score = store.begin("score", 1, SCORE, new.id)
    assert store.find("latest", ("score", "gen")).id == old.id  # an unfinished run is never the latest
    store.finish(score, {})
    assert store.find("latest", ("score", "gen")).id == score.id
    for length in (12, 11, 10):  # three random ids do not share ten digits
        assert store.find(old.id[:length], ("gen",)).id == old.id
    with pytest.raises(Problem, match="is a gen run"):
        store.find(old.id, ("score",))
    for unknown in ("zzz", old.id + "0", "", "%", "_" * 12):
        with pytest.raises(Problem, match="no run begins with"):
            store.find(unknown, ("gen",))


def test_an_ambiguous_prefix_is_refused_and_names_the_runs(store: Store) -> None:
    ids = [store.begin("gen", 1, replace(GEN, seed=seed), None).id for seed in range(17)]
    digit = next(digit for digit in "0123456789abcdef" if sum(id.startswith(digit) for id in ids) > 1)
    with pytest.raises(Problem, match="ambiguous") as refused:
        store.find(digit, ("gen",))
    assert all(id in refused.value.what for id in ids if id.startswith(digit))


def test_premises_are_stored_once_a_source_with_their_first_position(store: Store) -> None:
    rows = [(1, "one"), (2, "two"), (4, "one"), (5, "three"), (7, "two")]
    assert list(premises.add(store, "s", "s.txt", "d", len(rows), rows)) == [5]
    assert premises.is_imported(store, "s")
    assert store.rows("SELECT position, text FROM premises ORDER BY position") == [(1, "one"), (2, "two"), (5, "three")]
    assert premises.duplicates(store, "s") == 2
    assert [premises.last_position(store, "s", limit) for limit in (1, 2, 3, 9, None)] == [1, 2, 5, 5, 5]
    assert [premises.count(store, "s", limit) for limit in (1, 2, 3, 9, None)] == [1, 2, 3, 3, 3]
    list(premises.add(store, "other", "o.txt", "e", 1, [(1, "one")]))
    assert store.one("SELECT count(*) FROM premises WHERE text = 'one'") == (2,)


def test_an_import_cut_short_and_taken_up_equals_one_without_a_break(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(premises, "ROWS_AT_ONCE", 10)
    rows = [(place, f"text {place % 37}") for place in range(1, 101)]
    whole = Store.memory()
    list(premises.add(whole, "s", "s.txt", "d", len(rows), rows))
    for ticks in range(1, 11):
        cut = Store.memory()
        going = premises.add(cut, "s", "s.txt", "d", len(rows), rows)
        assert list(itertools.islice(going, ticks)) == list(range(10, ticks * 10 + 1, 10))
        going.close()  # type: ignore[attr-defined]
        assert not premises.is_imported(cut, "s")
        assert list(premises.add(cut, "s", "s.txt", "d", len(rows), rows))[-1] == 100
        assert content(cut) == content(whole)
        assert premises.duplicates(cut, "s") == premises.duplicates(whole, "s") == 63


def test_a_long_import_streams(tmp_path: Path) -> None:
    opened = Store.open(tmp_path / "s.db")
    lines = ((place, f"premise number {place} of a long file") for place in range(1, 200_001))
    tracemalloc.start()
    try:
        read = list(premises.add(opened, "long", "long.txt", "d", 200_000, lines))[-1]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        opened.close()
    assert read == 200_000
    assert peak < 30e6


# The columns of `rules`, and what is no role of a hypothesis.
RULE = ", ".join(("run", "score", *(level.threshold for level in LEVELS), "swap"))
NO_ROLES = ("neutral", "rewrite", "rewrite-", "paraphrase", "random-0", "")


def test_tables_refuse_wrong_types_and_values(store: Store) -> None:
    gen, score, there = scored(store, MADE[:1])
    id = there[0].id
    judgement = "INSERT INTO judgements (run, task, position, value, reply) VALUES"
    draft = "INSERT INTO drafts (run, premise, role, text, prompt, tokens) VALUES"
    wrong = [
        "INSERT INTO premises (source, position, text) VALUES ('made', 'two', 'x')",
        "INSERT INTO premises (source, position, text) VALUES ('made', 99, NULL)",
        "INSERT INTO premises (source, position, text) VALUES ('nowhere', 1, 'x')",
        f"INSERT INTO scores (run, premise, role, value, reply) VALUES ('{score.id}', {id}, 'neutral', 1.0, '')",
        *(f"{draft} ('{gen.id}', {id}, '{role}', '', 1, 1)" for role in NO_ROLES),
        f"{judgement} ('nobody', 'stsb', 1, 2.5, '2.5')",
        f"{judgement} ('{gen.id}', 'stsb', 1, 5.5, '5.5')",
        f"{judgement} ('{gen.id}', 'stsb', 0, 1.0, '1')",
        f"{judgement} ('{gen.id}', 'stsb', 1, 1.0, NULL)",
        f"INSERT INTO pairs (run, premise, a, b) VALUES ('{score.id}', {id}, 'high', 1.0)",
        f"INSERT INTO rules ({RULE}) VALUES ('nobody', '{score.id}', 3.0, 3.0, 1.0, 0.0, 0)",
        f"INSERT INTO rules ({RULE}) VALUES ('{gen.id}', '{score.id}', 3.0, 3.0, 1.0, 0.0, 2)",
        f"INSERT INTO rules ({RULE}) VALUES ('{gen.id}', '{score.id}', NULL, 3.0, 1.0, 0.0, 0)",
        f"INSERT INTO repeats (run, premise, reason) VALUES ('{score.id}', {id}, 'b>beta')",
        f"UPDATE scores SET value = 'high' WHERE run = '{score.id}'",
        f"UPDATE scores SET value = 5.1 WHERE run = '{score.id}'",
        f"UPDATE scores SET value = -0.1 WHERE run = '{score.id}'",
        f"UPDATE drafts SET premise = 'a dog' WHERE run = '{gen.id}'",
        f"UPDATE drafts SET premise = 987654 WHERE run = '{gen.id}'",
        f"UPDATE drafts SET prompt = 987654 WHERE run = '{gen.id}'",
        f"UPDATE runs SET config = 'not json' WHERE id = '{gen.id}'",
        f"UPDATE runs SET version = 'one' WHERE id = '{gen.id}'",
        "INSERT INTO steps (run, step, epoch, loss, masked_share, lr) VALUES ('nobody', 1, 0, 1.0, 0.0, 0.1)",
        f"INSERT INTO metrics (run, task, name, value, n) VALUES ('{gen.id}', 't', 'm', 'good', 1)",
        f"INSERT INTO checkpoints (run, step, kind, path, written) VALUES ('{gen.id}', 1, 'best', 'p', 'w')",
    ]
    before = content(store)
    for statement in wrong:
        with pytest.raises(sqlite3.IntegrityError):
            store.connection.execute(statement)
    assert content(store) == before
    for role in ("rewrite-0", "rewrite-8", "rewrite-12"):
        store.connection.execute(f"{draft} ('{gen.id}', {id}, '{role}', '', 1, 1)")
    store.connection.execute(f"{judgement} ('{gen.id}', 'stsb', 1, NULL, 'who knows')")
    with pytest.raises(sqlite3.IntegrityError):
        store.connection.execute(f"{judgement} ('{gen.id}', 'stsb', 1, 2.5, 'twice')")


def test_nobody_writes_a_decision_by_hand(store: Store) -> None:
    _, score, there = scored(store, MADE[:1])
    with pytest.raises(sqlite3.OperationalError, match="view"):
        store.connection.execute(
            f"INSERT INTO decisions (run, premise, verdict) VALUES ('{score.id}', {there[0].id}, 'keep')"
        )


def test_a_batch_is_stored_whole_or_not_at_all(store: Store) -> None:
    gen, _, there = scored(store, MADE)
    other = store.begin("score", 2, SCORE, gen.id)
    before = content(store)
    twice = DraftRow(there[0].id, "entailment", "again", None, None, "another prompt {premise}", 1)
    with pytest.raises(sqlite3.IntegrityError):
        drafts.add(store, gen, [twice])
    with pytest.raises(sqlite3.IntegrityError):
        scores.add(
            store, other, [ScoreRow(there[0].id, "entailment", 1.0, ""), ScoreRow(there[1].id, "entailment", 9.0, "")]
        )
    assert content(store) == before


def test_the_hypotheses_view_puts_the_premise_into_its_prompt(store: Store) -> None:
    there = add_premises(store, ["A {curly} dog.", "Rain falls."])
    run = store.begin("gen", 1, GEN, None)
    add_drafts(store, run, zip(there, MADE, strict=False), prompt="Say it: {premise}\nAnswer:")
    found = store.rows("SELECT premise, role, text, prompt FROM hypotheses WHERE run = ?", [run.id])
    wanted = [
        (premise.id, role, text, f"Say it: {premise.text}\nAnswer:")
        for premise, one in zip(there, MADE, strict=False)
        for role, text in (("entailment", one.x_plus), ("contradiction", one.x_minus))
    ]
    assert sorted(found) == sorted(wanted)
    assert store.one("SELECT count(*) FROM prompts") == (1,)


def test_triplets_are_the_kept_of_a_curate_run_and_all_with_text_of_a_gen_run(store: Store) -> None:
    gen, score, there = scored(store, MADE)
    list(curate.run(store, CURATE, score))
    kept = store.begin("curate", curate.VERSION, CURATE, score.id)
    columns = "premise_id, source, premise, entailment, contradiction, a, b"
    both = [
        (premise.id, "made", one.x, one.x_plus, one.x_minus, one.a, one.b)
        for premise, one in zip(there, MADE, strict=True)
    ]
    assert sorted(store.rows(f"SELECT {columns} FROM triplets WHERE run = ?", [kept.id])) == [both[0], both[4]]
    uncurated = [(*row[:5], None, None) for row in both if row[4]]
    assert sorted(store.rows(f"SELECT {columns} FROM triplets WHERE run = ?", [gen.id])) == uncurated
    assert [tuple(triplet) for triplet in training.triplets(store, kept)] == [both[0][2:5], both[4][2:5]]
    assert len(store.rows("SELECT * FROM triplets")) == 2 + 4


def test_triplets_are_read_in_windows_as_they_are_at_once(store: Store) -> None:
    """Over windows that are full, have gaps or are empty, for the run alone: another source lies between its premises."""
    add_premises(store, [f"before {n}" for n in range(10)], "other")
    first = [f"text {n}" for n in range(5_000)]
    list(premises.add(store, "made", "made.txt", "d", 5_001, enumerate(first, start=1)))
    add_premises(store, [f"between {n}" for n in range(9_000)], "another")
    list(premises.add(store, "made", "made.txt", "d", 5_001, [(5_001, "last")]))
    there = [Premise(*row) for row in store.rows("SELECT id, text FROM premises WHERE source = 'made' ORDER BY id")]
    gen = store.begin("gen", 1, GEN, None)
    made = (Made(premise.text, f"+{premise.id}", "-" if premise.id % 3 else "") for premise in there)
    add_drafts(store, gen, zip(there, made, strict=True))
    found = [tuple(triplet) for triplet in training.triplets(store, gen)]
    assert found == [(text, f"+{id}", "-") for id, text in there if id % 3]
    assert len(found) == training.count_triplets(store, gen)


def test_a_run_without_drafts_has_no_triplets(store: Store) -> None:
    gen = store.begin("gen", 1, GEN, None)
    assert list(training.triplets(store, gen)) == []
    assert training.count_triplets(store, gen) == 0


def test_what_a_run_wrote_is_counted_as_its_texts_read(store: Store) -> None:
    made = [
        Made("A dog runs.", "a dog runs", "No dog runs!"),
        Made("He sings.", "Somebody sings.", "HE SINGS"),
        Made("It rains, today.", "It rains today", "no dog  runs"),
        Made("Straße", "STRASSE", "Nobody."),
    ]
    gen, _, _ = scored(store, made)
    copies = [sum(plain(one.x) == plain(getattr(one, side)) for one in made) / 4 for side in ("x_plus", "x_minus")]
    expected = (4, *copies, len({plain(one.x_minus) for one in made}) / 4)
    assert figures.written(store, gen) == expected == (4, 0.75, 0.25, 0.75)
    empty = store.begin("gen", 1, replace(GEN, seed=1), None)
    assert figures.written(store, empty) == (0, 0.0, 0.0, 0.0)


def test_the_funnel_counts_every_premise_once(store: Store) -> None:
    gen, score, _ = scored(store, MADE)
    list(curate.run(store, CURATE, score))
    run = store.begin("curate", curate.VERSION, CURATE, score.id)
    found = {(level, reason): n for level, reason, n in store.rows("SELECT level, reason, premises FROM funnel")}
    assert found == {
        ("premises", None): 5,
        ("generated", None): 4,
        ("scored", None): 4,
        ("kept", None): 2,
        ("dropped", "empty"): 1,
        ("dropped", "a<alpha"): 1,
        ("dropped", "b>beta"): 1,
    }
    shown = levels.levels(store, runs.view(store, run))
    assert shown["kept"] + shown["dropped"] == shown["premises"]
    assert shown["reasons"] == {"a<alpha": 1, "b>beta": 1, "empty": 1}
    assert levels.levels(store, runs.view(store, gen)) == {"premises": 5, "generated": 4}


def test_lineage_is_the_chain_of_parents(store: Store) -> None:
    gen, score, _ = scored(store, MADE)
    list(curate.run(store, CURATE, score))
    run = store.begin("curate", curate.VERSION, CURATE, score.id)
    found = store.rows("SELECT run, distance, ancestor, stage FROM lineage WHERE run = ? ORDER BY distance", [run.id])
    assert found == [(run.id, 0, run.id, "curate"), (run.id, 1, score.id, "score"), (run.id, 2, gen.id, "gen")]
    assert store.one("SELECT count(*) FROM lineage") == (1 + 2 + 3,)
    assert [stage for stage, *_ in training.recipe(store, run)] == ["gen", "score", "curate"]


def test_the_leaderboard_holds_finished_evaluations_only(store: Store) -> None:
    from stages.config import EvalConfig

    rows = []
    for place, (name, value) in enumerate([("a", 60.0), ("b", 70.0), ("c", 80.0)]):
        run = store.begin(
            "eval", 1, EvalConfig(model=name, model_fingerprint=str(place), pooler="mean", tasks={"t": "x"}), None
        )
        training.add_metrics(store, run, [MetricRow("t", "", "spearman", 0, value, 10, 1.5)])
        if name != "c":
            store.finish(run, {"tasks": 1})
            rows.append(("t", "", "spearman", value, 1.5, 10, name, None, run.id))
    assert store.rows("SELECT * FROM leaderboard") == sorted(rows, key=lambda row: -row[3])


def test_the_browser_reads_the_same_rows_with_and_without_words(store: Store) -> None:
    _, score, _ = scored(store, MADE)
    shown = runs.view(store, score)
    every = triplets.listed(store, shown)
    assert [(row.premise, row.a, row.b) for row in every] == [(one.x, one.a, one.b) for one in MADE]
    assert [row.premise for row in triplets.listed(store, shown, search="dog")] == ["A dog runs."]
    assert [row.premise for row in triplets.listed(store, shown, search="musi")] == ["He sings."]  # a word's beginning
    assert [row.premise for row in triplets.listed(store, shown, search='awake" OR (')] == []
    assert triplets.listed(store, shown, limit=2, offset=3) == every[3:]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Der Hund, er läuft!", "der hund  er LÄUFT", True),
        ("कुत्ता दौड़ता है।", "कुत्ता दौड़ता है", True),
        ("लड़का की किताब", "लड़की का किताब", False),
        ("नदी", "नादा", False),
        ("犬が走る。", "犬が走る", True),
        ("犬が走る。", "犬が眠る。", False),
        ("هل يجري؟", "هل يجري", True),
        ("no_case", "No Case.", True),
    ],
)
def test_two_texts_are_the_same_but_for_case_punctuation_and_blanks_in_any_script(
    one: str, other: str, same: bool
) -> None:
    assert (plain(one) == plain(other)) == same
