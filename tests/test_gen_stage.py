"""Stage 1 with tiny real models: what it writes, and that no kill, batch, order or second run changes a row of it."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from typing import Any, NoReturn

import pytest
from asked import SET, ending_at
from conftest import PREMISES
from hypothesis import given
from hypothesis import strategies as st
from parrot import Parrot
from rows import GEN, add_premises, content, drafted

from stages import gen
from stages.config import GenConfig
from stages.models.llm.model import LanguageModel
from stages.texts import hypotheses
from stages.texts.prompts import NO_PREMISE, PromptSet, Template
from store.database import Store
from store.problem import Problem
from store.records import ROLES, Premise, Run
from store.rows import drafts

CONFIG = replace(GEN, max_tokens=12)


def never() -> NoReturn:
    raise AssertionError("a model was loaded for nothing")


def written(
    store: Store,
    model: Any,
    config: GenConfig = CONFIG,
    texts: list[str] = PREMISES,
    prompts: PromptSet = SET,
    batch: int = 4,
) -> Run:
    if not store.one("SELECT 1 FROM sources WHERE name = 'made'"):
        add_premises(store, texts)
    list(gen.run(store, config, prompts, lambda: model, batch, "cpu"))
    return store.begin("gen", gen.VERSION, config, None)


def by_text(store: Store, run: Run) -> dict[tuple[str, str], Any]:
    """(premise, role) -> everything about its draft."""
    rows = store.rows(
        "SELECT premises.text, role, drafts.text, raw, problem, prompts.text, tokens FROM drafts"
        " JOIN premises ON premises.id = premise JOIN prompts ON prompts.id = prompt WHERE run = ?",
        [run.id],
    )
    return {(row[0], row[1]): row[2:] for row in rows}


@pytest.fixture(params=["llm", "t5"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    """Each law holds for decoder-only and for encoder-decoder models."""
    found: LanguageModel = request.getfixturevalue(request.param)
    return found


def test_every_premise_gets_both_hypotheses_and_the_counts_say_so(store: Store, model: LanguageModel) -> None:
    run = written(store, model)
    found = by_text(store, run)
    assert set(found) == set(itertools.product(PREMISES, ("entailment", "contradiction")))
    assert run.finished
    problems = Counter(row[2] for row in found.values() if row[2])
    assert run.counts == {"premises": len(PREMISES), "hypotheses": 2 * len(PREMISES), **problems}
    for text, raw, problem, prompt, tokens in found.values():
        assert tokens <= CONFIG.max_tokens
        assert prompt.count("{premise}") == 1
        assert raw is not None or problem is None
        assert problem == "empty" or text
    assert len({row[0] for row in found.values()}) > len(PREMISES) / 2  # the model looks at what it is asked


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_float32_rows_do_not_change_with_the_batch(store: Store, model: LanguageModel, batch: int) -> None:
    other = Store.memory()
    assert drafted(store, written(store, model, batch=4)) == drafted(other, written(other, model, batch=batch))


def test_float32_rows_do_not_change_with_order_or_company(store: Store, model: LanguageModel) -> None:
    other, alone = Store.memory(), Store.memory()
    whole = by_text(store, written(store, model))
    assert by_text(other, written(other, model, texts=PREMISES[::-1])) == whole
    few = by_text(alone, written(alone, model, texts=PREMISES[3:4]))
    assert few == {key: row for key, row in whole.items() if key[0] == PREMISES[3]}


@pytest.mark.parametrize("ticks", range(1, 7))
def test_walking_away_and_running_again_equals_a_run_without_a_break(llm: LanguageModel, ticks: int) -> None:
    whole, cut = Store.memory(), Store.memory()
    run = written(whole, llm, batch=2)
    add_premises(cut, PREMISES)
    going = gen.run(cut, CONFIG, SET, lambda: llm, 2, "cpu")
    stored = 0
    for tick in itertools.islice(going, ticks):
        stored = tick.done
        assert drafts.done(cut, cut.begin("gen", gen.VERSION, CONFIG, None)) == tick.done
    going.close()  # type: ignore[attr-defined]
    before = by_text(cut, run)
    assert len(before) == 2 * stored
    again = list(gen.run(cut, CONFIG, SET, lambda: llm, 3, "cpu"))
    assert again[-1].done == len(PREMISES)
    assert again[-1].fresh == len(PREMISES) - stored
    assert drafted(cut, run) == drafted(whole, run)
    assert before.items() <= by_text(cut, run).items()
    assert cut.run(run.id).counts == whole.run(run.id).counts


def test_a_complete_run_never_loads_the_model_and_writes_nothing(store: Store, llm: LanguageModel) -> None:
    run = written(store, llm)
    before = content(store)
    ticks = list(gen.run(store, CONFIG, SET, never, 4, "cpu"))
    assert [(tick.done, tick.total, tick.note) for tick in ticks] == [(len(PREMISES), len(PREMISES), "complete")]
    assert content(store) == before
    assert store.begin("gen", gen.VERSION, CONFIG, None) == run


def test_a_run_whose_rows_are_all_there_is_finished_without_the_model(store: Store, llm: LanguageModel) -> None:
    """Killed between the last batch and the mark."""
    run = written(store, llm)
    with store.writing() as connection:
        connection.execute("UPDATE runs SET finished = NULL, counts = '{}'")
    assert [tick.note for tick in gen.run(store, CONFIG, SET, never, 4, "cpu")] == ["complete"]
    assert store.run(run.id).counts == run.counts


def test_a_second_writer_of_the_run_is_refused(file_store: Store, llm: LanguageModel) -> None:
    add_premises(file_store, PREMISES)
    going = gen.run(file_store, CONFIG, SET, lambda: llm, 2, "cpu")
    list(itertools.islice(going, 3))
    assert file_store.path is not None
    second = Store.open(file_store.path)
    with pytest.raises(Problem, match="being written by another process"):
        list(gen.run(second, CONFIG, SET, never, 2, "cpu"))
    going.close()  # type: ignore[attr-defined]
    assert written(second, llm).finished


def test_limit_takes_the_first_distinct_premises_and_a_higher_one_is_another_run(
    store: Store, llm: LanguageModel
) -> None:
    three, five = (written(store, llm, replace(CONFIG, limit=limit)) for limit in (3, 5))
    assert {text for text, _ in by_text(store, three)} == set(PREMISES[:3])
    assert {text for text, _ in by_text(store, five)} == set(PREMISES[:5])
    assert by_text(store, three).items() <= by_text(store, five).items()
    beyond = written(store, llm, replace(CONFIG, limit=1000))
    assert beyond.counts["premises"] == len(PREMISES)


@given(st.integers(), st.text(), st.sampled_from(["entailment", "contradiction"]))
def test_an_instruction_is_drawn_by_seed_role_and_premise_alone(seed: int, premise: str, role: Any) -> None:
    template = Template(("one", "two", "three"), "{instruction}: {premise}")
    drawn = template.draw(seed, role, premise)
    assert drawn == template.draw(seed, role, premise)
    assert drawn in {"one: {premise}", "two: {premise}", "three: {premise}"}


def test_every_instruction_is_drawn_about_equally_often() -> None:
    template = Template(("one", "two", "three", "four"), "{instruction}: {premise}")
    counts = Counter(template.draw(0, "entailment", f"premise {number}") for number in range(4000))
    assert len(counts) == 4
    assert all(900 < count < 1100 for count in counts.values())


def test_another_seed_draws_other_instructions(store: Store, llm: LanguageModel) -> None:
    first, second = (by_text(store, written(store, llm, replace(CONFIG, seed=seed))) for seed in (0, 1))
    prompts = [{key: row[3] for key, row in found.items()} for found in (first, second)]
    assert prompts[0] != prompts[1]


def slow(llm: LanguageModel, run: Run, prompts: dict[str, str], premise: str) -> dict[str, str]:
    """Eq. 1-2 read literally: one token at a time, no batch, no cache."""
    from stages.models.llm.request import Prompt

    raw = {}
    for role, noise in (("entailment", "contradiction"), ("contradiction", "entailment")):
        omega, nu = run.config["omega" if role == "entailment" else "omega_contradiction"], run.config.get("nu", 0)
        own, other = (Prompt(prompts[one].replace("{premise}", premise)) for one in (role, noise))
        without = Prompt(prompts[role].replace("{premise}", NO_PREMISE))
        tokens: list[int] = []
        while len(tokens) < run.config["max_tokens"]:
            noises = omega * llm.alone(other, tokens) + nu * llm.alone(without, tokens)
            token = int((llm.alone(own, tokens) - noises).argmax())
            if token in llm.eos:
                break
            tokens.append(token)
            if any(mark in llm.text(tokens).lstrip() for mark in SET.stop):
                break
        raw[role] = llm.text(tokens)
    return raw


@pytest.mark.parametrize(
    ("omega", "omega_contradiction", "nu"),
    [(0.0, 0.0, 0.0), (0.3, 0.3, 0.0), (0.5, 0.1, 0.0), (-0.3, 0.0, 0.0), (0.0, 0.0, 0.4), (0.3, 0.1, 0.2)],
)
def test_drafts_are_what_equations_1_and_2_write(
    store: Store, model: LanguageModel, omega: float, omega_contradiction: float, nu: float
) -> None:
    config = replace(CONFIG, omega=omega, omega_contradiction=omega_contradiction, nu=nu)
    run = written(store, model, config, texts=PREMISES[:4])
    found = by_text(store, run)
    for premise in PREMISES[:4]:
        prompts = {role: found[premise, role][3] for role in ("entailment", "contradiction")}
        for role, raw in slow(model, run, prompts, premise).items():
            text, kept, *_ = found[premise, role]
            assert raw == kept if kept is not None else raw.strip() == text


def test_omega_contradiction_touches_contradictions_only(store: Store, llm: LanguageModel) -> None:
    same, other = (
        by_text(store, written(store, llm, replace(CONFIG, omega_contradiction=omega))) for omega in (0.3, 0.9)
    )
    changed = {key for key in same if same[key] != other[key]}
    assert changed
    assert {role for _, role in changed} == {"contradiction"}


def test_nu_changes_both_roles(store: Store, llm: LanguageModel) -> None:
    before, after = (by_text(store, written(store, llm, replace(CONFIG, nu=nu))) for nu in (0.0, 0.4))
    assert {key[1] for key in before if before[key] != after[key]} == set(ROLES)


def test_without_a_premise_a_prompt_is_asked_once_for_all(llm: LanguageModel) -> None:
    premises = [Premise(place, text) for place, text in enumerate(PREMISES)]
    _, plain = hypotheses.ask(premises, CONFIG, SET, llm)
    asked, texts = hypotheses.ask(premises, replace(CONFIG, nu=0.2), SET, llm)
    assert len(texts) == len(set(texts)) == len(plain) + len({one.template for one in asked})
    for one in asked:
        own, without = texts[one.line.own], texts[one.line.noises[-1].prompt]
        assert without.text == one.template.replace("{premise}", NO_PREMISE)
        assert llm.split(without)[0] == llm.split(own)[0]  # its start is read already


def test_sampling_depends_on_the_seed_and_not_on_the_batch(store: Store, llm: LanguageModel) -> None:
    sampled = replace(CONFIG, sample=True, temperature=1.0, top_p=0.9)
    first = drafted(store, written(store, llm, sampled, batch=4))
    other = Store.memory()
    assert drafted(other, written(other, llm, sampled, batch=1)) == first
    assert drafted(store, written(store, llm, replace(sampled, seed=1))) != first
    assert drafted(store, written(store, llm)) != first


def test_empty_refusal_and_runaway_keep_what_was_written_and_its_problem(store: Store) -> None:
    says = {
        "dog": "A dog moves along the sea.",
        "women": ' "Two people are reading." And so on',
        "train": "I'm sorry, but I cannot help with that.",
        "radio": "...",
        "Children": "one two three four five six seven eight nine ten eleven twelve thirteen fourteen",
    }
    run = written(store, Parrot(says), texts=PREMISES[:6], prompts=replace(SET, stop=("\n",)))
    found = {key[0]: row for key, row in by_text(store, run).items() if key[1] == "entailment"}
    assert [found[text][:3] for text in PREMISES[:6]] == [
        ("A dog moves along the sea.", None, None),
        ("Two people are reading.", ' "Two people are reading." And', None),
        ("I'm sorry, but I cannot help with that.", "I'm sorry, but I cannot help with that.", "refusal"),
        ("...", "...", "empty"),
        (" ".join(says["Children"].split()[:12]), " ".join(says["Children"].split()[:12]), "runaway"),
        ("", "", "empty"),
    ]
    assert run.counts == {"premises": 6, "hypotheses": 12, "refusal": 2, "empty": 4, "runaway": 2}


def test_tiny_models_that_never_stop_are_runaways_with_their_raw_text(store: Store, llm: LanguageModel) -> None:
    run = written(store, llm, prompts=ending_at())
    rows = by_text(store, run).values()
    assert {problem for _, _, problem, _, _ in rows} <= {"runaway", "empty", None}
    assert any(problem == "runaway" for _, _, problem, _, _ in rows)
    assert all(raw is not None and tokens == CONFIG.max_tokens for _, raw, problem, _, tokens in rows if problem)


def test_a_chat_prompt_goes_through_the_models_own_template(store: Store) -> None:
    parrot = Parrot({"dog": "A dog moves."})
    run = written(store, parrot, texts=PREMISES[:1], prompts=replace(SET, chat=True, stop=("\n",)))
    assert all(asked.startswith("<user>") and asked.endswith("<bot>") for asked in parrot.asked)
    assert store.rows("SELECT DISTINCT prompt LIKE '<user>%dog%<bot>' FROM hypotheses WHERE run = ?", [run.id]) == [
        (1,)
    ]


@pytest.mark.parametrize("text", ["{instruction}", "{premise}", "{hypothesis} {0}", "%s \\ $x"])
def test_a_premise_that_looks_like_a_template_is_a_text_like_any_other(store: Store, text: str) -> None:
    parrot = Parrot({text: "It is a text."})
    run = written(store, parrot, texts=[text], prompts=replace(SET, stop=("\n",)))
    prompts = [row[0] for row in store.rows("SELECT prompt FROM hypotheses WHERE run = ?", [run.id])]
    assert sorted(prompts) == sorted(parrot.asked)
    assert all(prompt.endswith(f": {text} =") for prompt in prompts)
