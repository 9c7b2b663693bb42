"""Stage 2, the scores, with tiny real models: the formula, the replies, and that nothing but the config changes a row."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from typing import Any, NoReturn

import pytest
from asked import SET, TOML
from conftest import PREMISES
from hypothesis import given
from hypothesis import strategies as st
from parrot import Parrot
from rows import GEN, SCORE, Made, add_drafts, add_premises, content, score_rows

from stages import score
from stages.config import ScoreConfig
from stages.models.llm.model import LanguageModel
from stages.models.llm.request import Prompt
from stages.texts import prompts, similarity
from store.database import Store
from store.problem import Problem
from store.records import Run
from store.rows import scores

PROMPT = SCORE
ONE = replace(SCORE, by="likelihood")
BOTH = replace(SCORE, by="likelihood", directions="both")
EXPECTED = replace(SCORE, expected=True)
SHARE = replace(SCORE, scale="0-1", prompts_digest=SET.whole_digest)
WAYS = pytest.mark.parametrize(
    "config", [PROMPT, ONE, BOTH, EXPECTED, SHARE], ids=["prompt", "one", "both", "expected", "0-1"]
)

MADE = [
    Made(text, f"{text.split()[0]} and {text.split()[-1]}", "" if place == 3 else "It is not so.")
    for place, text in enumerate(PREMISES)
]


def never() -> NoReturn:
    raise AssertionError("a model was loaded for nothing")


def generated(store: Store, made: list[Made] = MADE) -> Run:
    gen = store.begin("gen", 1, GEN, None)
    if not gen.finished:
        add_drafts(store, gen, zip(add_premises(store, [one.x for one in made]), made, strict=True))
    return store.run(gen.id)


def scored(store: Store, model: Any, config: ScoreConfig, made: list[Made] = MADE, batch: int = 4) -> Run:
    gen = generated(store, made)
    list(score.run(store, config, gen, SET, lambda: model, batch, "cpu"))
    return store.begin("score", score.VERSION, config, gen.id)


@pytest.fixture(params=["llm", "t5"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    found: LanguageModel = request.getfixturevalue(request.param)
    return found


@WAYS
def test_both_hypotheses_of_every_premise_get_a_row(store: Store, model: LanguageModel, config: ScoreConfig) -> None:
    run = scored(store, model, config)
    rows = score_rows(store, run)
    assert [row[1:3] for row in rows] == list(
        itertools.product(range(1, len(MADE) + 1), ("contradiction", "entailment"))
    )
    read = sum(value is not None for *_, value, _ in rows)
    assert run.counts == {"scored": read, "unparsable": len(rows) - read}
    assert all(value is None or 0 <= value <= 5 for *_, value, _ in rows)
    if config not in (PROMPT, SHARE):  # random models answer a question with no number
        assert read == len(rows) - 1  # the empty hypothesis


@WAYS
@pytest.mark.parametrize("batch", [1, 7])
def test_float32_rows_do_not_change_with_the_batch(
    store: Store, model: LanguageModel, config: ScoreConfig, batch: int
) -> None:
    other = Store.memory()
    one, two = scored(store, model, config, batch=4), scored(other, model, config, batch=batch)
    assert score_rows(store, one) == score_rows(other, two)


@WAYS
def test_float32_rows_do_not_change_with_order_or_company(
    store: Store, llm: LanguageModel, config: ScoreConfig
) -> None:
    def by_text(store: Store, run: Run) -> dict[tuple[str, str], Any]:
        rows = store.rows(
            "SELECT text, role, value, reply FROM scores JOIN premises ON id = premise WHERE run = ?", [run.id]
        )
        return {row[:2]: row[2:] for row in rows}

    turned, few = Store.memory(), Store.memory()
    whole = by_text(store, scored(store, llm, config))
    assert by_text(turned, scored(turned, llm, config, MADE[::-1])) == whole
    assert by_text(few, scored(few, llm, config, MADE[4:5])).items() <= whole.items()


@pytest.mark.parametrize("config", [PROMPT, BOTH], ids=["prompt", "both"])
@pytest.mark.parametrize("ticks", range(1, 7))
def test_walking_away_and_running_again_equals_a_run_without_a_break(
    llm: LanguageModel, config: ScoreConfig, ticks: int
) -> None:
    whole, cut = Store.memory(), Store.memory()
    run = scored(whole, llm, config, batch=2)
    gen = generated(cut)
    going = score.run(cut, config, gen, SET, lambda: llm, 2, "cpu")
    stored = [tick.done for tick in itertools.islice(going, ticks)][-1]
    going.close()  # type: ignore[attr-defined]
    assert scores.done(cut, run) == stored
    before = score_rows(cut, run)
    again = list(score.run(cut, config, gen, SET, lambda: llm, 3, "cpu"))
    assert again[-1].fresh == len(MADE) - stored
    assert score_rows(cut, run) == score_rows(whole, run)
    assert set(before) <= set(score_rows(cut, run))
    assert cut.run(run.id).counts == whole.run(run.id).counts


def test_a_complete_run_never_loads_the_model_and_writes_nothing(store: Store, llm: LanguageModel) -> None:
    run = scored(store, llm, BOTH)
    before = content(store)
    ticks = list(score.run(store, BOTH, generated(store), SET, never, 4, "cpu"))
    assert [(tick.done, tick.note) for tick in ticks] == [(len(MADE), "complete")]
    assert content(store) == before
    with store.writing() as connection:
        connection.execute("UPDATE runs SET finished = NULL WHERE id = ?", [run.id])
    ticks = list(score.run(store, BOTH, generated(store), SET, never, 4, "cpu"))  # every row is there
    assert [tick.note for tick in ticks] == ["complete"]
    assert content(store) == before


def test_each_reading_is_a_run_of_its_own(store: Store, llm: LanguageModel) -> None:
    runs = [scored(store, llm, config) for config in (PROMPT, ONE, BOTH, EXPECTED)]
    assert len({run.id for run in runs}) == 4
    assert store.one("SELECT count(*) FROM scores") == (4 * 2 * len(MADE),)


def test_an_unfinished_gen_run_is_not_scored(store: Store) -> None:
    gen = store.begin("gen", 1, GEN, None)
    with pytest.raises(Problem, match="not finished"):
        list(score.run(store, BOTH, gen, SET, never, 4, "cpu"))
    assert store.one("SELECT count(*) FROM runs WHERE stage = 'score'") == (0,)


@pytest.mark.parametrize("both", [False, True])
def test_the_likelihood_score_is_the_share_of_information_explained(
    store: Store, model: LanguageModel, both: bool
) -> None:
    """5 * clip(1 - log p(y | x) / log p(y), 0, 1), in both directions the mean; each log p asked for alone."""

    def log_p(sentence: str, given: str | None) -> float:
        prompt = SET.alone if given is None else SET.given.replace("{premise}", given)
        return model.log_likelihoods([(Prompt(prompt), f" {sentence}")])[0]

    def share(y: str, x: str) -> float:
        return min(max(1 - log_p(y, x) / log_p(y, None), 0.0), 1.0)

    run = scored(store, model, BOTH if both else ONE)
    found = {row[1:3]: row[3:] for row in score_rows(store, run)}
    for position, one in enumerate(MADE[:4], start=1):
        for role, y in (("entailment", one.x_plus), ("contradiction", one.x_minus)):
            value, reply = found[position, role]
            if not y:
                assert (value, reply) == (None, "")
                continue
            ways = [share(y, one.x), share(one.x, y)] if both else [share(y, one.x)]
            assert value == round(5 * sum(ways) / len(ways), 3)
            evidence = {"log p(y|x)": log_p(y, one.x), "log p(y)": log_p(y, None)}
            if both:
                evidence |= {"log p(x|y)": log_p(one.x, y), "log p(x)": log_p(one.x, None)}
            assert json.loads(reply) == evidence


@given(st.floats(-1e4, 0), st.floats(-1e4, 0))
def test_the_share_explained_is_between_0_and_1_and_grows_with_what_is_explained(p: float, q: float) -> None:
    assert 0 <= similarity.explained_share(p, q) <= 1
    assert similarity.explained_share(q, q) == 0
    assert similarity.explained_share(p / 2, q) >= similarity.explained_share(p, q)
    assert q == 0 or similarity.explained_share(0.0, q) == 1


def test_a_likelihood_that_several_scores_need_is_computed_once(store: Store) -> None:
    parrot = Parrot({})
    twins = [Made("A dog runs.", "A dog runs.", "No dog runs."), Made("A cat runs.", "No dog runs.", "A dog runs.")]
    scored(store, parrot, BOTH, twins)
    alone = [prompt for prompt in parrot.asked if prompt == SET.alone]
    assert len(alone) == len({text for one in twins for text in (one.x, one.x_plus, one.x_minus)})


def test_a_reply_is_read_or_kept_without_a_value(store: Store) -> None:
    replies = {
        "yes 0": ("4.5", 4.5),
        "yes 1": ("The similarity is 3 out of 5.", 3.0),
        "yes 2": ("4,5", 4.5),
        "yes 3": ("10", None),
        "yes 4": ("-1", None),
        "yes 5": ("I cannot say.", None),
        "yes 6": ("", None),
        "yes 7": ("5", 5.0),
        "yes 8": ("0.0", 0.0),
        "yes 9": ("5.01", None),
    }
    made = [Made(f"text {place}", hypothesis, "never") for place, hypothesis in enumerate(replies)]
    run = scored(store, Parrot({hypothesis: reply for hypothesis, (reply, _) in replies.items()}), PROMPT, made)
    found = [row[3:] for row in score_rows(store, run) if row[2] == "entailment"]
    assert found == [(value, reply) for reply, value in replies.values()]
    assert run.counts == {"scored": 5, "unparsable": 15}


def test_on_the_scale_0_1_the_first_number_counts_five_times_and_its_reason_is_kept(store: Store) -> None:
    replies = {
        "yes 0": ("0.9, because both say so 3 times.", 4.5),
        "yes 1": ("1", 5.0),
        "yes 2": ("0,25 - they differ", 1.25),
        "yes 3": ("1.1, because", None),
        "yes 4": ("4", None),
        "yes 5": ("They agree.", None),
        "yes 6": ("0.0", 0.0),
    }
    made = [Made(f"text {place}", hypothesis, "never") for place, hypothesis in enumerate(replies)]
    parrot = Parrot({hypothesis: reply for hypothesis, (reply, _) in replies.items()})
    run = scored(store, parrot, SHARE, made)
    found = [row[3:] for row in score_rows(store, run) if row[2] == "entailment"]
    assert found == [(value, reply) for reply, value in replies.values()]
    assert all(prompt.endswith("because") for prompt in parrot.asked)


def test_the_scale_0_5_is_the_run_without_a_scale_and_0_1_wants_its_question(store: Store, llm: LanguageModel) -> None:
    assert replace(SCORE, scale="0-5") == SCORE
    for wrong in ({"scale": "0-1", "expected": True}, {"scale": "0-1", "by": "likelihood"}, {"scale": "0-9"}):
        with pytest.raises(Problem, match=r"^scale"):
            replace(SCORE, **wrong)
    bare = prompts.parse(TOML.partition("[similarity]")[0], "bare")
    assert bare.digest == SET.digest  # runs that do not ask it are the same runs
    assert bare.whole_digest != SET.whole_digest
    with pytest.raises(Problem, match=r"bare has no \[similarity\]"):
        similarity.similarities([("one", "two")], SHARE, bare, llm)


@pytest.mark.parametrize("text", ["{premise}", "{hypothesis}", "{premise} {hypothesis} {0} %s"])
def test_sentences_that_look_like_a_template_are_texts_like_any_other(store: Store, text: str) -> None:
    parrot = Parrot({})
    scored(store, parrot, PROMPT, [Made(text, f"plus {text}", "minus {premise}")])
    assert sorted(parrot.asked) == sorted([f"{text} / plus {text} =", f"{text} / minus {{premise}} ="])
    parrot.asked.clear()
    scored(store, parrot, BOTH, [Made(text, f"plus {text}", "minus {premise}")])
    wanted = {SET.alone} | {f"{one} again:" for one in (text, f"plus {text}", "minus {premise}")}
    assert set(parrot.asked) == wanted


def test_an_empty_hypothesis_is_never_asked_about(store: Store) -> None:
    parrot = Parrot({"": "5"})
    run = scored(store, parrot, PROMPT, [Made("one", "", ""), Made("two", "", "minus")])
    assert parrot.asked == ["two / minus ="]
    assert [row[3:] for row in score_rows(store, run)] == [(None, ""), (None, ""), (5.0, "5"), (None, "")]


def test_an_expected_score_is_the_mean_of_the_digits_under_the_model(store: Store, llm: LanguageModel) -> None:
    run = scored(store, llm, EXPECTED, MADE[:3])
    digits = [llm.tokenizer(str(digit), add_special_tokens=False).input_ids[0] for digit in range(6)]
    for position, one in enumerate(MADE[:3], start=1):
        question = SET.question.replace("{premise}", one.x).replace("{hypothesis}", one.x_plus)
        weights = llm.alone(Prompt(question), [])[digits].softmax(-1).tolist()
        mean = sum(digit * weight for digit, weight in enumerate(weights))
        (value, reply) = next(row[3:] for row in score_rows(store, run) if row[1:3] == (position, "entailment"))
        assert value == pytest.approx(mean, abs=6e-4)
        assert json.loads(reply) == {"expected": value}


def test_expected_scores_without_digit_tokens_are_a_problem_and_leave_no_row(store: Store) -> None:
    with pytest.raises(Problem, match="single tokens"):
        scored(store, Parrot({}), EXPECTED)
    assert store.one("SELECT count(*) FROM scores") == (0,)


def test_an_expected_score_near_a_rounding_border_does_not_change_with_the_batch(llm: LanguageModel) -> None:
    """Among thousands of figures of three decimals, some lie so near a border that a batch's last bits would tip them."""
    words = " ".join(PREMISES).split()
    draw = random.Random(0)
    prompts = [Prompt(" ".join(draw.choices(words, k=draw.randint(3, 12))) + " =") for _ in range(4000)]
    digits = [str(digit) for digit in range(6)]

    def asked(batch: int) -> list[float]:
        return [
            value
            for start in range(0, len(prompts), batch)
            for value in llm.expectations(prompts[start : start + batch], digits) or []
        ]

    found = asked(64)
    assert len(found) == len(prompts)
    assert found == asked(23)
