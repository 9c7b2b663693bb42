"""Jobs of gen, score and import: the id is known before anything is written, and the same call goes on with the same run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from conftest import PREMISES
from rows import dump
from shell import multicsr as shell

import multicsr.corpora
import multicsr.gen
import multicsr.score
from multicsr.job import Job
from stages.config import ImportConfig
from stages.stage import COMPLETE
from store.database import Store
from store.problem import Problem
from store.records import WHOLE, Shard


@pytest.fixture
def told(tiny_llm: Path, prompts_file: Path) -> dict[str, Any]:
    return {"llm": str(tiny_llm), "prompts": str(prompts_file), "max_tokens": 6, "dtype": "float32"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.promised(tmp_path / "s.db")
    yield opened
    opened.close()


def begin_and_walk_away(job: Job, ticks: int) -> None:
    going = job.start()
    list(islice(going, ticks))
    going.close()


def assert_known_and_resumed(job: Job, again: Job, ticks: int) -> None:
    """`job` is left after some ticks and made by `again`, of the same call; its id is never another."""
    path = job.store.path
    assert path is not None
    before, id = dump(path), job.id
    assert (again.id, again.made()) == (id, None)
    assert dump(path) == before  # asking what a run is writes nothing
    begin_and_walk_away(job, ticks)
    begun = job.store.known(id)
    assert begun is not None
    assert begun.finished is None
    made = again.run()
    assert (made.run.id, made.run.config, made.run.parent) == (id, job.config, job.parent)
    assert made.run.finished
    notes = []
    assert job.run(lambda tick, rate: notes.append(tick.note)).run == made.run == job.made()
    assert notes == [COMPLETE]


def test_gen_is_known_before_the_store_is_there_and_goes_on(store: Store, told: dict[str, Any]) -> None:
    jobs = [multicsr.gen.job(store, PREMISES, **told) for _ in range(2)]
    assert not Path(str(store.path)).exists()
    assert_known_and_resumed(*jobs, ticks=3)  # the premises are imported and the LLM is asked for


def test_score_is_known_before_it_is_written_and_goes_on(store: Store, told: dict[str, Any]) -> None:
    written = multicsr.gen.job(store, PREMISES, **told).run().run
    jobs = [multicsr.score.job(store, written, by="likelihood", dtype="float32") for _ in range(2)]
    assert_known_and_resumed(*jobs, ticks=2)


def test_import_is_known_before_it_is_written_and_goes_on_with_its_scores(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("premise,entailment,contradiction,a,b\nIt rains.,Rain falls.,It is dry.,4.5,1\n")
    triplets, scores = (multicsr.corpora.jobs(store, file) for _ in range(2))
    assert_known_and_resumed(triplets[0], scores[0], ticks=1)
    assert triplets[1] is not None
    assert scores[1] is not None
    assert triplets[1].parent == triplets[0].id == multicsr.corpora.job(store, file).id
    assert_known_and_resumed(triplets[1], scores[1], ticks=1)


def test_texts_are_one_source_whoever_holds_them(store: Store, told: dict[str, Any], tmp_path: Path) -> None:
    """A list, a generator, rows with a column, a file called `texts` and the name in the store are all the same run."""
    lines = [*PREMISES, "", PREMISES[0]]
    job = multicsr.gen.job(store, lines, **told)
    file = tmp_path / "texts"
    file.write_text("".join(f"{line}\n" for line in lines))
    rows = [{"text": line} for line in lines]
    others = [
        multicsr.gen.job(store, iter(lines), **told),
        multicsr.gen.job(store, rows, column="text", **told),
        multicsr.gen.job(store, file, **told),
    ]
    assert {one.id for one in others} == {job.id}
    warnings: list[str] = []
    job.run(lambda tick, rate: warnings.append(tick.warning))
    assert [one for one in warnings if one] == ["texts: 1 repeated and 1 blank lines left out"]
    name = job.config["premises"]
    assert name.startswith("texts@")
    assert multicsr.gen.job(store, name, **told).id == job.id


def test_a_notebooks_run_goes_on_in_the_shell_and_is_printed_as_its_command(store: Store, told: dict[str, Any]) -> None:
    job = multicsr.gen.job(store, PREMISES, **told)
    begin_and_walk_away(job, 3)
    (listed,) = shell("runs", "--json", "--db", store.path).json["runs"]
    made = shell(*listed["command"].split()[1:], "--json", "--db", store.path).json
    assert (made["run"], made["done"]) == (job.id, len(PREMISES))


@pytest.mark.parametrize(
    ("premises", "column", "says"),
    [
        (["A dog runs.", 3], None, "premises: number 2 is 3, not a text"),
        (["", " "], None, "premises hold no sentence"),
        (["Two\nlines."], None, "number 1 holds the control character"),
        (["A dog runs."], "text", "column 'text' is not in row 1"),
        ("bundled", "text", "column text goes with a file"),
        ("texts@000000000000", None, "there is no premises file"),
    ],
)
def test_texts_that_are_no_premises_are_refused(store: Store, premises: Any, column: str | None, says: str) -> None:
    with pytest.raises(Problem) as refused:
        multicsr.gen.job(store, premises, column=column)
    assert says in refused.value.what
    assert not Path(str(store.path)).exists()


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"omega": 7}, "omega 7 is out of range"),
        ({"omga": 0.3}, "there is no setting 'omga'"),
        ({"method": "clafi"}, "method 'clafi' is not known"),
        ({"method": "claif", "omega": 0.3}, "omega 0.3 has no use with method=claif"),
        ({"method": "claif", "sample": False}, "sample False has no use with method=claif"),
        ({"temperature": 0.5}, "temperature 0.5 has no use without sample=True"),
        ({"shots": 2}, "shots 2 goes with demonstrations=FILE"),
    ],
)
def test_settings_that_cannot_be_are_refused(store: Store, told: dict[str, Any], says: str) -> None:
    with pytest.raises(Problem) as refused:
        multicsr.gen.job(store, PREMISES, **told)
    assert refused.value.what.startswith(says)


def test_claif_has_settings_of_its_own_where_none_are_told(store: Store) -> None:
    config = multicsr.gen.job(store, PREMISES, method="claif").config
    assert (config["omega"], config["omega_contradiction"], config["sample"]) == (0.0, 0.0, True)
    assert (config["temperature"], config["top_p"]) == (0.7, 0.9)


def test_shards_are_one_run_that_the_last_one_finishes(store: Store, told: dict[str, Any]) -> None:
    whole = multicsr.gen.job(store, PREMISES, **told)
    parts = [multicsr.gen.job(store, PREMISES, shard=Shard(number, 2), **told) for number in (1, 2)]
    assert {part.id for part in parts} == {whole.id}
    assert parts[0].run().run.finished is None
    assert parts[0].run().fresh == 0
    assert parts[1].run().run.finished
    assert whole.made() == whole.run().run
    assert multicsr.gen.job(store, PREMISES, shard=WHOLE, **told).id == whole.id


def test_a_promised_store_is_created_by_the_first_who_writes(tmp_path: Path) -> None:
    path = tmp_path / "later.db"
    first, second = Store.promised(path), Store.promised(path)
    assert first.known("0" * 12) is None
    assert list(tmp_path.iterdir()) == []
    for store in (first, second):
        store.begin("gen", 1, ImportConfig(premises=f"{store is first}"), None)
    assert len(first.rows("SELECT id FROM runs")) == len(second.rows("SELECT id FROM runs")) == 2
    with pytest.raises(Problem, match="does not exist"):
        Store.promised(tmp_path / "nowhere" / "s.db")
