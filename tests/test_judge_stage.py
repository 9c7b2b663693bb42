"""The LLM as scorer of sentence pairs, with tiny real models: a row a pair, figures over the pairs that have a value."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import pytest
from asked import SET, TOML
from conftest import PREMISES
from driven import finished
from parrot import Parrot
from rows import content
from scipy import stats

from stages import judge
from stages.config import JudgeConfig
from stages.models.llm.model import LanguageModel
from stages.tasks.sts import StsTask, Subset
from stages.texts import prompts, similarity
from store.database import Store
from store.problem import Problem
from store.records import Run
from store.rows import judgements, training

GOLD = [0.5, 1.0, 4.0, 3.5, 2.0, 5.0, 0.0, 1.5]
TASKS = [
    StsTask("one", [Subset("", PREMISES[:8], PREMISES[1:9], GOLD)]),
    StsTask(
        "parts", [Subset("a", PREMISES[:8], PREMISES[2:], GOLD), Subset("b", PREMISES[2:7], PREMISES[:5], GOLD[:5])]
    ),
]
PAIRS = 8 + 8 + 5

LIKELIHOOD = JudgeConfig(
    model="an-llm",
    model_fingerprint="0" * 12,
    prompts="short",
    prompts_digest="1" * 12,
    by="likelihood",
    expected=False,
    directions="both",
    shots=0,
    dtype="float32",
    tasks={task.name: task.digest for task in TASKS},
    split="test",
)
PROMPT = replace(LIKELIHOOD, by="prompt", directions="one")
EXPECTED = replace(PROMPT, expected=True)
WAYS = pytest.mark.parametrize("config", [LIKELIHOOD, PROMPT, EXPECTED], ids=["likelihood", "prompt", "expected"])

SHOTS = prompts.parse(
    TOML.replace('"{premise} again:"', r'"Again.\n\nx one again: 1!\n\nx two again: 2!\n\nx {premise} again:"')
    .replace('"say:"', r'"Say.\n\nsay: 1!\n\nsay: 2!\n\nsay:"')
    .replace(
        '"{premise} / {hypothesis} ="', r'"How?\n\nu / v = 5\n\nx / y = 0\n\nu = 3\n\n{premise} / {hypothesis} ="'
    ),
    "with shots",
)


def never() -> NoReturn:
    raise AssertionError("a model was loaded for nothing")


def judged(
    store: Store, model: Any, config: JudgeConfig, tasks: Sequence[StsTask] = TASKS, batch: int = 4, asked: Any = SET
) -> Run:
    return finished(judge.run(store, config, tasks, asked, lambda: model, batch, "cpu"))


def rows(store: Store, run: Run) -> list[Any]:
    return store.rows(
        "SELECT task, subset, position, value, reply FROM judgements WHERE run = ? ORDER BY 1, 2, 3", [run.id]
    )


def figures(store: Store, run: Run) -> dict[tuple[str, str, str], tuple[float, int]]:
    return {(row.task, row.subset, row.name): (row.value, row.n) for row in training.metrics(store, run)}


@pytest.fixture(params=["llm", "t5"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    found: LanguageModel = request.getfixturevalue(request.param)
    return found


@WAYS
def test_every_pair_gets_the_answer_it_gets_alone(store: Store, model: LanguageModel, config: JudgeConfig) -> None:
    run = judged(store, model, config)
    wanted = [
        (task.name, part.name, position, *similarity.similarities([pair], config, SET, model)[0])
        for task in TASKS
        for part in task.subsets
        for position, pair in enumerate(zip(part.first, part.second, strict=True), start=1)
    ]
    assert rows(store, run) == wanted
    assert len(wanted) == PAIRS
    unread = sum(value is None for *_, value, _ in wanted)
    assert run.counts == {"tasks": 2, "scored": PAIRS - unread, "unparsable": unread}


def test_figures_are_the_correlations_of_the_rows_with_gold(store: Store, llm: LanguageModel) -> None:
    run = judged(store, llm, LIKELIHOOD)
    found = figures(store, run)

    def rho(task: StsTask, *names: str) -> float:
        parts = [part for part in task.subsets if part.name in names]
        values = {row[1:3]: row[3] for row in rows(store, run) if row[0] == task.name}
        scores = [values[part.name, place + 1] for part in parts for place in range(len(part.gold))]
        return float(100 * stats.spearmanr(scores, [gold for part in parts for gold in part.gold]).statistic)

    a, b = rho(TASKS[1], "a"), rho(TASKS[1], "b")
    wanted = {
        ("one", "", "spearman"): (rho(TASKS[0], ""), 8),
        ("one", "", "unparsable"): (0.0, 8),
        ("parts", "", "spearman"): (rho(TASKS[1], "a", "b"), 13),
        ("parts", "", "spearman_mean"): ((a + b) / 2, 13),
        ("parts", "", "spearman_wmean"): ((8 * a + 5 * b) / 13, 13),
        ("parts", "a", "spearman"): (a, 8),
        ("parts", "b", "spearman"): (b, 5),
        ("parts", "", "unparsable"): (0.0, 13),
    }
    assert set(found) == set(wanted)
    for key, (value, n) in wanted.items():
        assert found[key] == (pytest.approx(value), n)
    board = store.rows("SELECT DISTINCT model, run FROM leaderboard")
    assert board == [("an-llm", run.id)]


@WAYS
@pytest.mark.parametrize("batch", [1, 7])
def test_float32_rows_do_not_change_with_the_batch(
    store: Store, llm: LanguageModel, config: JudgeConfig, batch: int
) -> None:
    other = Store.memory()
    one, two = judged(store, llm, config), judged(other, llm, config, batch=batch)
    assert rows(store, one) == rows(other, two)


@pytest.mark.parametrize("config", [LIKELIHOOD, PROMPT], ids=["likelihood", "prompt"])
@pytest.mark.parametrize("ticks", range(1, 8))
def test_walking_away_and_running_again_equals_a_run_without_a_break(
    llm: LanguageModel, config: JudgeConfig, ticks: int
) -> None:
    whole, cut = Store.memory(), Store.memory()
    run = judged(whole, llm, config)
    going = judge.run(cut, config, TASKS, SET, lambda: llm, 4, "cpu")
    stored = [tick.done for tick in itertools.islice(going, ticks)][-1]
    going.close()  # type: ignore[attr-defined]
    before = rows(cut, run)
    assert len(before) == stored
    again = list(judge.run(cut, config, TASKS, SET, lambda: llm, 3, "cpu"))
    assert again[-1].fresh == PAIRS - stored
    assert set(before) <= set(rows(cut, run))
    assert content(cut) == content(whole)


def test_a_complete_run_never_loads_the_model_and_writes_nothing(store: Store, llm: LanguageModel) -> None:
    run = judged(store, llm, LIKELIHOOD)
    before = content(store)
    ticks = list(judge.run(store, LIKELIHOOD, TASKS, SET, never, 4, "cpu"))
    assert [(tick.done, tick.total, tick.note) for tick in ticks] == [(PAIRS, PAIRS, "complete")]
    assert content(store) == before
    with store.writing() as connection:
        connection.execute("UPDATE runs SET finished = NULL WHERE id = ?", [run.id])
        connection.execute("DELETE FROM metrics WHERE run = ? AND task = 'parts'", [run.id])
    assert list(judge.run(store, LIKELIHOOD, TASKS, SET, never, 4, "cpu")) == []  # every row is there
    assert content(store) == before


REPLIES = {
    PREMISES[0]: "4.5",
    PREMISES[2]: "I cannot say.",
    PREMISES[3]: " 1 out of 5\nFirst:",
    PREMISES[4]: "9",
    PREMISES[5]: "3",
    PREMISES[6]: "0",
    PREMISES[7]: "2.5",
}


def test_a_reply_without_a_number_is_a_row_without_a_value_and_is_counted(store: Store) -> None:
    """The correlation is over the pairs that have a number, and says over how many."""
    task = StsTask("one", [Subset("", [PREMISES[n] for n in (0, 2, 3, 4, 5, 6, 7)], ["?"] * 7, GOLD[:7])])
    run = judged(store, Parrot(REPLIES), PROMPT, [task])
    found = [(value, reply) for *_, value, reply in rows(store, run)]
    assert [value for value, _ in found] == [4.5, None, 1.0, None, 3.0, 0.0, 2.5]
    assert (found[1][1], found[3][1]) == ("I cannot say.", "9")
    rho = stats.spearmanr([4.5, 1.0, 3.0, 0.0, 2.5], [GOLD[n] for n in (0, 2, 4, 5, 6)]).statistic
    assert figures(store, run) == {
        ("one", "", "spearman"): (pytest.approx(100 * rho), 5),
        ("one", "", "unparsable"): (pytest.approx(100 * 2 / 7), 7),
    }
    assert run.counts == {"tasks": 1, "scored": 5, "unparsable": 2}


def test_a_subset_without_replies_is_left_to_the_headline_of_the_others(store: Store) -> None:
    quiet = Subset("quiet", [PREMISES[2]] * 4, ["?"] * 4, GOLD[:4])
    loud = Subset("loud", [PREMISES[n] for n in (0, 3, 5, 6)], ["?"] * 4, GOLD[:4])
    found = figures(store, judged(store, Parrot(REPLIES), PROMPT, [StsTask("two", [quiet, loud])]))
    assert {key[1:]: n for key, (_, n) in found.items()} == {
        ("", "spearman"): 4,
        ("", "spearman_mean"): 4,
        ("", "spearman_wmean"): 4,
        ("loud", "spearman"): 4,
        ("", "unparsable"): 8,
    }
    assert found["two", "", "spearman"] == found["two", "loud", "spearman"]


@pytest.mark.parametrize(("reply", "share"), [("Who knows?", 100.0), ("3", 0.0)], ids=["no number", "one number"])
def test_where_nothing_correlates_the_share_of_replies_stands_alone(store: Store, reply: str, share: float) -> None:
    """The work is kept and the other tasks go on; no correlation is made up."""
    run = judged(store, Parrot({"": reply}), PROMPT)
    assert run.finished
    assert figures(store, run) == {("one", "", "unparsable"): (share, 8), ("parts", "", "unparsable"): (share, 13)}


def test_expected_scores_without_digit_tokens_are_a_problem_and_leave_no_row(store: Store) -> None:
    with pytest.raises(Problem, match="single tokens"):
        judged(store, Parrot({}), EXPECTED)
    assert store.one("SELECT count(*) FROM judgements") == (0,)


def test_an_empty_sentence_is_a_text_like_any_other(store: Store, model: LanguageModel) -> None:
    task = StsTask("odd", [Subset("", ["", *PREMISES[:4]], [*PREMISES[:4], ""], GOLD[:5])])
    run = judged(store, model, LIKELIHOOD, [task])
    assert run.counts == {"tasks": 1, "scored": 5, "unparsable": 0}


@pytest.mark.parametrize("shots", [0, 1, 2])
def test_a_pair_is_asked_about_behind_the_first_shots(store: Store, shots: int) -> None:
    parrot = Parrot({"": "3"})
    pair = StsTask("one", [Subset("", ["A"], ["B"], [1.0])])
    judged(store, parrot, replace(PROMPT, shots=shots), [pair], asked=SHOTS)
    behind = ["u / v = 5\n\n", "x / y = 0\n\n"][:shots]
    assert parrot.asked == ["How?\n\n" + "".join(behind) + "u = 3\n\nA / B ="]
    parrot.asked.clear()
    judged(store, parrot, replace(LIKELIHOOD, shots=shots), [pair], asked=SHOTS)
    given = "Again.\n\n" + "".join(["x one again: 1!\n\n", "x two again: 2!\n\n"][:shots])
    alone = "Say.\n\n" + "".join(["say: 1!\n\n", "say: 2!\n\n"][:shots]) + "say:"
    assert set(parrot.asked) == {alone, f"{given}x A again:", f"{given}x B again:"}


def test_each_number_of_shots_is_a_run_of_its_own(store: Store, llm: LanguageModel) -> None:
    runs = [judged(store, llm, replace(LIKELIHOOD, shots=shots), asked=SHOTS) for shots in (0, 1, 2)]
    values = [[row[3] for row in rows(store, run)] for run in runs]
    assert len({run.id for run in runs}) == 3
    assert values[0] != values[1] != values[2] != values[0]


@pytest.mark.parametrize("by", ["prompt", "likelihood"])
def test_more_shots_than_there_are_is_a_problem(by: str) -> None:
    assert SHOTS.with_shots(by, SHOTS.shots(by)) == SHOTS
    for count in (-1, 3):
        with pytest.raises(Problem, match=f"^shots {count} is out of range: .*with shots has 2"):
            SHOTS.with_shots(by, count)


@pytest.mark.parametrize(("name", "by", "count"), [
    ("smollm2", "likelihood", 5), ("smollm2", "prompt", 0), ("general", "likelihood", 2), ("general", "prompt", 3),
    ("flan-t5", "likelihood", 0), ("flan-t5", "prompt", 5),
])  # fmt: skip
def test_the_bundled_sets_have_their_shots(name: str, by: str, count: int) -> None:
    bundled = prompts.load(name)
    assert bundled.shots(by) == count
    assert bundled.with_shots(by, count) == bundled
    bare = bundled.with_shots(by, 0)
    assert bare.shots(by) == 0
    assert (bare.question.count("{premise}"), bare.given.count("{premise}")) == (1, 1)


@pytest.mark.parametrize(
    "question",
    [
        "First: {premise}\n\nSecond: {hypothesis}\n\nScore:",
        "A: u\nB: v\n\nIt is 3\n\nA: {premise}\nB: {hypothesis}\nIt is",
    ],
)
def test_a_question_in_several_parts_has_no_shots_that_could_be_left_out(question: str) -> None:
    asked = replace(SET, question=question)
    assert asked.shots("prompt") == 0
    assert asked.with_shots("prompt", 0) == asked


def test_the_evidence_of_a_likelihood_is_kept(store: Store, llm: LanguageModel) -> None:
    run = judged(store, llm, LIKELIHOOD, TASKS[:1])
    reply = json.loads(rows(store, run)[0][4])
    assert set(reply) == {"log p(y|x)", "log p(y)", "log p(x|y)", "log p(x)"}
    assert sum(judgements.counts(store, run).values()) == 8
