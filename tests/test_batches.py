"""The pace of a stage: what fits, half of it where memory runs out, and the same rows whatever happened."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asked import SET
from conftest import PREMISES
from hypothesis import given
from hypothesis import strategies as st
from narrow import memory_for
from rows import GEN, SCORE, Made, add_drafts, add_premises, content, drafted, score_rows

from stages import gen, score
from stages.models.llm.model import LanguageModel
from stages.pace.batches import Batches
from stages.stage import Tick
from store.database import Store
from store.problem import Problem

CONFIG = replace(GEN, max_tokens=12)
NARROW = 8  # rows of a forward pass: two premises of four streams


@pytest.fixture(params=["llm", "t5"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    found: LanguageModel = request.getfixturevalue(request.param)
    return found


def full(_items: Any) -> int:
    raise torch.OutOfMemoryError("CUDA out of memory.")


@given(
    items=st.lists(st.integers(), min_size=1, max_size=50),
    asked=st.none() | st.integers(1, 60),
    fitting=st.integers(1, 60),
    room=st.integers(1, 60),
)
def test_every_item_is_worked_on_once_in_order_and_never_more_than_fit(
    items: list[int], asked: int | None, fitting: int, room: int
) -> None:
    """`fitting` is what was estimated, `room` what there is in truth."""
    tried: list[int] = []

    def work(part: Sequence[int]) -> list[int]:
        tried.append(len(part))
        return list(part) if len(part) <= room else full(part)

    batches = Batches(asked, "items", "cpu")
    parts = list(batches.over(items, lambda item: fitting, work))
    assert [item for part, _ in parts for item in part] == items
    assert all(list(part) == result for part, result in parts)
    assert tried[0] == min(len(items), asked or fitting)
    failed = [size for size in tried if size > room]
    assert failed == [tried[0] >> halved for halved in range(len(failed))]  # never tried again at a size that failed
    assert bool(batches.take_warning()) == bool(failed)
    assert not batches.take_warning()


def test_what_fits_is_asked_for_each_part_by_its_first_item() -> None:
    asked: list[int] = []

    def capacity(item: int) -> int:
        asked.append(item)
        return 10 // item

    batches = Batches(None, "items", "cpu")
    assert [list(part) for part, _ in batches.over([9, 5, 5, 2, 2, 1, 1], capacity, len)] == [[9], [5, 5], [2, 2, 1, 1]]
    assert asked == [9, 5, 2]


def test_what_does_not_fit_alone_is_a_problem_in_one_line() -> None:
    with pytest.raises(Problem, match="the memory of cuda:1 ran out with one of the premises") as refused:
        list(Batches(8, "premises", "cuda:1").over(range(8), lambda item: 8, full))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("memory"), KeyError("x")])
def test_other_errors_come_through_at_once(error: Exception) -> None:
    tried: list[int] = []

    def work(part: Sequence[int]) -> None:
        tried.append(len(part))
        raise error

    with pytest.raises(type(error)) as raised:
        list(Batches(4, "items", "cpu").over(range(4), lambda item: 4, work))
    assert raised.value is error
    assert tried == [4]


def test_the_failed_batch_is_gone_before_the_smaller_one_begins() -> None:
    """What it had allocated would else take the memory that the smaller one needs."""
    alive: list[weakref.ref[torch.Tensor]] = []

    def work(part: Sequence[int]) -> None:
        assert all(held() is None for held in alive)
        held = torch.zeros(len(part))
        alive.append(weakref.ref(held))
        if len(part) > 1:
            full(part)

    list(Batches(8, "items", "cpu").over(range(8), lambda item: 8, work))
    assert len(alive) == 3 + 8


@pytest.mark.parametrize(("batch", "halvings"), [(None, 2), (10, 2), (2, 0)])
def test_generation_goes_on_with_half_and_writes_the_same_rows(
    store: Store, model: LanguageModel, batch: int | None, halvings: int
) -> None:
    add_premises(store, PREMISES)
    other = Store.memory()
    add_premises(other, PREMISES)
    list(gen.run(other, CONFIG, SET, lambda: model, 4, "cpu"))
    with memory_for(model.model, NARROW) as refused:
        ticks = list(gen.run(store, CONFIG, SET, lambda: model, batch, "cpu"))
    run = store.begin("gen", gen.VERSION, CONFIG, None)
    assert drafted(store, run) == drafted(other, run)
    assert run.counts == other.run(run.id).counts
    assert len(refused) == halvings
    told = [tick.warning for tick in ticks if tick.warning]
    assert told == ["memory ran out with 5 premises at once; going on with 2"] * bool(halvings)


@pytest.mark.parametrize("by", ["prompt", "likelihood", "expected"])
def test_scoring_goes_on_with_half_and_writes_the_same_rows(llm: LanguageModel, by: str) -> None:
    config = replace(SCORE, by="likelihood") if by == "likelihood" else replace(SCORE, expected=by == "expected")

    def scored(store: Store, batch: int | None) -> tuple[list[Any], list[Tick]]:
        parent = store.begin("gen", 1, GEN, None)
        made = [Made(text, text.upper(), f"Not {text}") for text in PREMISES]
        add_drafts(store, parent, zip(add_premises(store, PREMISES), made, strict=True))
        ticks = list(score.run(store, config, store.run(parent.id), SET, lambda: llm, batch, "cpu"))
        return score_rows(store, store.begin("score", score.VERSION, config, parent.id)), ticks

    expected, _ = scored(Store.memory(), 4)
    with memory_for(llm.model, NARROW) as refused:
        rows, ticks = scored(Store.memory(), None)
    assert rows == expected
    assert refused
    assert sum(bool(tick.warning) for tick in ticks) == 1


def test_a_stage_whose_single_premise_does_not_fit_leaves_what_is_stored(store: Store, llm: LanguageModel) -> None:
    add_premises(store, PREMISES)
    ticks = gen.run(store, CONFIG, SET, lambda: llm, 4, "cpu")
    while not store.rows("SELECT * FROM drafts"):
        next(ticks)
    ticks.close()
    before = content(store)
    with memory_for(llm.model, 1), pytest.raises(Problem, match="memory of cpu ran out"):
        list(gen.run(store, CONFIG, SET, lambda: llm, 4, "cpu"))
    assert content(store) == before
    list(gen.run(store, CONFIG, SET, lambda: llm, 4, "cpu"))
    assert store.begin("gen", gen.VERSION, CONFIG, None).finished


def test_encoding_goes_on_with_half_and_gives_the_same_vectors(tiny_encoder: Path) -> None:
    from stages.models import catalog, loading

    encoder = loading.encoder(catalog.locate(str(tiny_encoder), "encoder"), torch.device("cpu"), "mean")
    batches = Batches(None, "texts", "cpu")
    with memory_for(encoder, 4) as refused:
        vectors = batches.encode(encoder, PREMISES)
    assert refused == [10, 5]
    np.testing.assert_allclose(vectors, encoder.encode(PREMISES, 64), atol=1e-5)
    assert batches.take_warning() == "memory ran out with 5 texts at once; going on with 2"


def test_what_happened_to_the_batch_is_said_at_once_and_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    """Progress lines of a pipe are rare; a warning does not wait for one."""
    from multicsr_cli import screen

    ticks = [Tick(0, 9, "writing"), Tick(1, 9, "writing", 1, "memory ran out"), Tick(2, 9, "writing", 2)]
    screen.watch(iter(ticks), "gen", "premises")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines().count("gen: memory ran out") == 1


def test_the_command_makes_the_same_run_in_halves_and_says_so(
    tiny_llm: Path, premises_file: Path, prompts_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`multicsr gen`, and the same with `--batch 10` and a model that takes eight rows: one line more on stderr."""
    from shell import multicsr

    from multicsr.gen import job as wanted
    from multicsr_cli import screen
    from stages.models import catalog, loading
    from stages.texts import prompts

    model = loading.language_model(catalog.locate(str(tiny_llm), "llm"), torch.device("cpu"), "float32")
    asked = ("gen", "--premises", premises_file, "--llm", tiny_llm, "--prompts", prompts_file, "--max-tokens", 12)
    assert multicsr(*asked, "--dtype", "float32", "--db", tmp_path / "whole.db").code == 0
    whole = Store.open(tmp_path / "whole.db")
    ((id,),) = whole.rows("SELECT id FROM runs")
    other = Store.open(tmp_path / "other.db")
    told = {"llm": str(tiny_llm), "prompts": str(prompts_file), "max_tokens": 12, "dtype": "float32"}
    job = wanted(other, premises_file, **told)
    going = job.start()
    list(islice(going, 2))  # the premises are imported, and no model is loaded
    going.close()
    chosen = prompts.load(str(prompts_file))
    write = partial(gen.run, other, job.settings, chosen, lambda: model, 10, "cpu")
    with memory_for(model.model, NARROW):
        made = screen.drive(replace(job, start=write))
    assert (made.run.id, made.fresh) == (id, len(PREMISES))
    assert drafted(other, made.run) == drafted(whole, made.run)
    said = "gen ω 0.3: memory ran out with 5 premises at once; going on with 2"
    assert capsys.readouterr().err.splitlines().count(said) == 1
