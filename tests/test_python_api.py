"""The Python API: each call makes, resumes or finds the run of the shell's command, prints nothing, and raises Problems."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import PREMISES, Piped
from rows import drafted, dump
from shell import multicsr as shell

import multicsr
from multicsr.notebook.results import Curated, Evaluated, Scored, Trained, Written
from multicsr.notebook.workspace import Workspace
from stages.config import CurateConfig, EvalConfig, GenConfig, JudgeConfig, PairConfig, ScoreConfig, TrainConfig
from stages.settings import settings_of
from stages.stage import COMPLETE, Tick

THRESHOLDS = {"alpha": 0.0, "beta": 5.0, "gamma": -5.0}  # keep all that has scores
TRIPLET = ["premise", "entailment", "contradiction", "a", "b"]


class Killed(Exception):
    """What a callback raises to stop a call where a kill would."""


@dataclass
class Heard:
    """The notes of all ticks, and the most that this process computed."""

    notes: list[str] = field(default_factory=list)
    fresh: int = 0

    def __call__(self, tick: Tick, rate: float) -> None:
        self.notes.append(tick.note)
        self.fresh = max(self.fresh, tick.fresh)


@dataclass(frozen=True)
class Road:
    """The settings by which the store `piped` was made, as a notebook writes them."""

    premises: Path
    gen: dict[str, Any]
    score: dict[str, Any]
    train: dict[str, Any]

    def walk(self, store: Workspace, **more: Any) -> tuple[Written, Scored, Curated, Trained, Evaluated]:
        """Every stage in its order."""
        written = store.gen(self.premises, **self.gen, **more)
        scored = store.score(written, **self.score, **more)
        kept = store.curate(scored, **THRESHOLDS, **more)
        model = store.train(kept, **self.train, **more)
        return written, scored, kept, model, store.eval(model, **more)


@pytest.fixture
def road(premises_file: Path, prompts_file: Path, tiny_llm: Path, tiny_encoder: Path) -> Road:
    read: dict[str, Any] = {"prompts": str(prompts_file), "dtype": "float32"}
    gen = {"llm": str(tiny_llm), "max_tokens": 12, **read}
    train = {"base": str(tiny_encoder), "pooler": "mean", "mask_model": "none", "train_batch": 4, "dtype": "float32"}
    return Road(premises_file, gen, {"by": "likelihood", **read}, train)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Workspace]:
    with multicsr.open(tmp_path / "s.db") as opened:
        yield opened


@pytest.fixture
def made(copied: Piped) -> Iterator[Workspace]:
    """The whole road as the shell made it, opened."""
    with multicsr.open(copied.db) as opened:
        yield opened


def test_every_call_finds_the_run_that_the_shell_made(road: Road, made: Workspace, copied: Piped) -> None:
    assert made.path is not None
    before, heard = dump(made.path), Heard()
    results = road.walk(made, progress=heard)
    stages = ["gen", "score", "curate", "train", "eval"]
    assert [one.stage for one in results] == stages
    assert [one.id for one in results[:4]] == [copied.run(stage) for stage in stages[:4]]
    assert list(results) == made.runs() == [made.latest(stage) for stage in stages]
    assert (set(heard.notes), heard.fresh) == ({COMPLETE}, 0)
    assert dump(made.path) == before


def test_the_shell_finds_every_run_that_python_made(road: Road, store: Workspace, piped: Piped) -> None:
    assert store.path is not None
    heard = Heard()
    results = road.walk(store, progress=heard)
    assert heard.fresh > 0
    before = dump(store.path)
    for one in results:
        ended = shell(*piped.commands[one.stage], "--db", store.path, "--json")
        assert "complete already" in ended.err
        assert ended.json == piped.said[one.stage].json | {
            name: ended.json[name]
            for name in ("seconds", "premises_per_second", "model", "checkpoint")
            if name in ended.json
        }
    assert dump(store.path) == before


def test_gen_is_begun_in_python_and_finished_by_the_shell(road: Road, store: Workspace, piped: Piped) -> None:
    def kill(tick: Tick, rate: float) -> None:
        if tick.fresh:
            raise Killed

    with pytest.raises(Killed):
        store.gen(road.premises, batch=1, progress=kill, **road.gen)
    (begun,) = store.runs()
    assert (begun.id, begun.finished) == (piped.run("gen"), None)
    stored = drafted(store.store, begun.run)
    assert 0 < len(stored) < 2 * len(PREMISES)
    made = shell(*piped.commands["gen"], "--db", store.path, "--json").json
    assert (made["run"], made["done"]) == (begun.id, len(PREMISES))
    assert set(stored) <= set(drafted(store.store, begun.run))
    assert store.latest("gen").finished


def test_gen_is_begun_by_the_shell_and_finished_in_python(road: Road, tmp_path: Path, piped: Piped) -> None:
    db = tmp_path / "s.db"
    assert shell(*piped.commands["gen"], "--shard", "1/2", "--db", db).code == 0
    with multicsr.open(db) as store:
        (begun,) = store.runs()
        assert begun.finished is None
        stored, heard = drafted(store.store, begun.run), Heard()
        written = store.gen(road.premises, progress=heard, **road.gen)
        assert written == begun
        assert written.id == piped.run("gen")
        assert written.finished
        assert heard.fresh == len(PREMISES) - len(stored) // 2
        assert set(stored) <= set(drafted(store.store, written.run))


def test_texts_are_the_same_run_in_a_list_a_dataset_and_a_frame(road: Road, store: Workspace) -> None:
    from datasets import Dataset

    written = store.gen(PREMISES, **road.gen)
    table = Dataset.from_dict({"number": list(range(len(PREMISES))), "text": PREMISES})
    heard = Heard()
    for rows in (table, table.to_pandas()):
        assert store.gen(rows, column="text", progress=heard, **road.gen) == written
        with pytest.raises(multicsr.Problem, match="column 'txt'"):
            store.gen(rows, column="txt", **road.gen)
    assert set(heard.notes) == {COMPLETE}


def test_what_each_run_gives(made: Workspace, copied: Piped) -> None:
    written, scored, kept, model, measured = made.runs()
    assert isinstance(written, Written)
    assert isinstance(scored, Scored)
    assert isinstance(kept, Curated)
    assert isinstance(model, Trained)
    assert isinstance(measured, Evaluated)
    assert kept.parent == scored.id
    assert kept.config["alpha"] == 0.0
    assert kept.counts["kept"] == len(kept.triplets()) == copied.said["curate"].json["kept"]
    assert kept.triplets().column_names == TRIPLET
    assert list(kept.triplets()["premise"]) == [
        row["premise"] for row in kept.to_pandas().to_dict("records") if row["verdict"] == "keep"
    ]
    dropped = kept.rejected()
    assert len(dropped) == copied.said["curate"].json["dropped"]
    for reason, count in copied.said["curate"].json["reasons"].items():
        assert kept.rejected(reason)["reason"] == [reason] * count
    assert len(written.to_pandas()) == len(PREMISES) > len(written.triplets()) > 0  # some drafts are empty
    with pytest.raises(multicsr.Problem, match="has no decisions"):
        written.rejected()
    assert list(model.to_pandas()["step"]) == list(range(1, copied.said["train"].json["steps"] + 1))
    assert model.encoder().encode(["Rain.", "Dogs run."]).shape[0] == 2
    assert measured.to_pandas()["value"].iloc[0] == copied.said["eval"].json["results"][0]["value"]
    assert repr(kept).startswith(f"<curate {kept.id}: ")


def test_runs_are_named_by_themselves_their_ids_or_latest(made: Workspace, copied: Piped) -> None:
    scored, kept = made.latest("score"), made.latest("curate")
    calls = [made.curate(one, **THRESHOLDS) for one in (scored, scored.id, scored.id[:8], "latest")]
    assert set(calls) == {kept}
    with pytest.raises(multicsr.Problem) as refused:
        made.curate(kept)
    assert refused.value.what == f"run {kept.id} is a curate run"
    assert refused.value.remedy == "this takes a score run"


def test_compare_is_eval_against(made: Workspace, copied: Piped) -> None:
    model, base = copied.run("train"), "minilm-l4"
    frame = made.compare(made.latest("train"), base, tasks=["mini"]).to_pandas()
    shown = shell("eval", model, "--against", base, "--tasks", "mini", "--db", copied.db, "--json").json
    (row,) = shown["comparison"]
    assert frame["task"].to_list() == ["mini"]
    for name in ("metric", "difference", "low", "high", "p", "n"):
        assert frame[name].iloc[0] == row[name]


def test_export_and_load_are_export_and_import(made: Workspace, copied: Piped, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.csv", tmp_path / "theirs.csv"
    written = made.export(made.latest("curate"), ours, shape="simcse")
    assert shell("export", "--shape", "simcse", "--out", theirs, "--db", copied.db).code == 0
    assert ours.read_bytes() == theirs.read_bytes()
    assert (written.path, written.columns) == (ours, ["sent0", "sent1", "hard_neg"])
    loaded = made.load(ours)
    assert loaded.id == shell("import", ours, "--db", copied.db, "--json").json["run"]
    assert loaded.triplets()["premise"] == made.latest("curate").triplets()["premise"]


def test_nothing_is_printed_unless_it_is_asked_for(
    road: Road, store: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    road.walk(store)
    assert capfd.readouterr() == ("", "")
    store.curate(alpha=5.0, progress=True)
    said = capfd.readouterr()
    assert said.out == ""
    assert "curate" in said.err


def test_what_must_be_heard_is_a_warning(road: Road, store: Workspace) -> None:
    with pytest.warns(UserWarning, match="1 repeated and 1 blank lines left out"):
        store.gen([*PREMISES[:2], "", PREMISES[0]], **road.gen)


@pytest.mark.parametrize(
    ("told", "what", "remedy", "setting"),
    [
        ({"omga": 0.3}, "there is no setting 'omga'", "did you mean omega?", None),
        ({"omega": 7}, "omega 7 is out of range", "give a number at least -1 and at most 1", "omega"),
        ({"batch": 0}, "batch 0 is out of range", "give a whole number of at least 1", "batch"),
        ({"llm": "no-such-llm"}, "no-such-llm", "", None),
    ],
)
def test_problems_have_what_and_remedy(
    store: Workspace, told: dict[str, Any], what: str, remedy: str, setting: str | None
) -> None:
    with pytest.raises(multicsr.Problem) as refused:
        store.gen(PREMISES, **told)
    assert what in refused.value.what
    assert remedy in refused.value.remedy
    assert refused.value.setting == setting
    assert "\n" not in str(refused.value)
    assert store.runs() == []


def test_a_wrong_keyword_is_refused_by_every_stage(made: Workspace) -> None:
    for call, near in [
        (lambda: made.score(derections="both"), "directions"),
        (lambda: made.curate(alpa=3.0), None),
        (lambda: made.train(sigmas=0.9), "sigma"),
        (lambda: made.eval("minilm", splitt="dev"), "split"),
    ]:
        with pytest.raises(multicsr.Problem) as refused:
            call()
        assert near is None or near in refused.value.remedy


@pytest.mark.parametrize(
    ("name", "configs"),
    [
        ("gen", [GenConfig]),
        ("score", [ScoreConfig]),
        ("curate", [CurateConfig, PairConfig]),
        ("train", [TrainConfig]),
        ("eval", [EvalConfig, JudgeConfig]),
    ],
)
def test_keywords_are_the_settings_of_the_stage(store: Workspace, name: str, configs: list[type]) -> None:
    method = getattr(store, name)
    parameters = inspect.signature(method).parameters
    for config in configs:
        for one in settings_of(config):
            assert parameters[one.name].kind is not inspect.Parameter.VAR_KEYWORD
            assert f"    {one.name}: " in method.__doc__ or f"`{one.name}`: " in method.__doc__
    assert "told" not in parameters


def test_omega_is_a_keyword_of_gen(store: Workspace) -> None:
    assert "omega" in inspect.signature(store.gen).parameters


def test_the_package_loads_nothing_heavy_and_an_open_store_no_model_library(tmp_path: Path) -> None:
    code = (
        "import sys, multicsr\n"
        "heavy = {'torch', 'transformers', 'datasets', 'typer', 'rich', 'textual'}\n"
        "assert not (heavy | {'numpy', 'pandas', 'sqlite_utils'}) & set(sys.modules)\n"
        f"assert multicsr.open({str(tmp_path / 's.db')!r}).runs() == []\n"
        "assert not heavy & set(sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_scores_in_a_file_are_taken_with_it(tmp_path: Path) -> None:
    file = tmp_path / "scored.csv"
    file.write_text("premise,entailment,contradiction,a,b\nA dog runs.,An animal runs.,Nothing runs.,4.5,1.0\n")
    with multicsr.open(tmp_path / "s.db") as store:
        scored = store.load(file)
        assert scored.triplets()[0]["a"] == 4.5
        assert len(store.curate(scored).triplets()) == 1


def test_what_is_no_name_and_what_is_auto_are_told_apart(tmp_path: Path) -> None:
    with multicsr.open(tmp_path / "s.db") as store:
        for call, says in (
            (lambda: store.eval(["minilm"], tasks=["mini"]), "names neither a run nor a model"),
            (lambda: store.latest("corate"), "stage 'corate' is not known"),
            (lambda: store.gen(["A dog runs."], llm=tmp_path / "nothing", batch="auto"), "nothing"),
        ):
            with pytest.raises(multicsr.Problem, match=says):
                call()


def test_the_package_run_as_a_program_is_the_shells_command() -> None:
    shown = [
        subprocess.run(
            [sys.executable, "-m", module, "runs", "--help"], capture_output=True, text=True, check=True
        ).stdout
        for module in ("multicsr", "multicsr_cli")
    ]
    assert shown[0] == shown[1]
    assert "Usage: multicsr runs" in shown[0]


def test_pairs_of_ones_own_are_measured_and_a_mixture_is_refused(tmp_path: Path, tiny_encoder: Path) -> None:
    rows = [f"A dog runs {place}.\tAn animal runs {place}.\t{place % 6}" for place in range(12)]
    (tmp_path / "mine.tsv").write_text("\n".join(rows) + "\n")
    with multicsr.open(tmp_path / "s.db") as store:
        figures = store.eval(tiny_encoder, task=tmp_path / "mine.tsv", pooler="mean").to_pandas()
        assert list(figures["task"].unique()) == ["mine.tsv"]
        with pytest.raises(multicsr.Problem, match="does not go with scorer=smollm2"):
            store.eval(tiny_encoder, scorer="smollm2")
