"""Whitened evaluation, analysis and drawing, on real stores with a tiny real encoder and by the command line."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from driven import finished
from rows import content
from shell import assert_problem, multicsr
from test_eval_stage import TASKS, config, encoder, never
from tiny import CORPUS

from multicsr.evaluate import evaluation
from multicsr.job import Means
from multicsr.report import leaderboard, pairs
from stages import evaluate
from stages.config import EvalConfig
from stages.models.encoder.model import Encoder
from stages.tasks import sts
from stages.tasks.analysis import FIGURES, Analysed, figures
from stages.tasks.whitening import Whitening
from store.database import Store
from store.problem import Problem
from store.records import Run
from store.rows import training

__all__ = ["encoder"]  # the fixture


def whitened_config(dim: int | None = None) -> EvalConfig:
    return replace(config(), whiten="c" * 12, whiten_dim=dim)


def evaluated(store: Store, model: object, dim: int | None = None, sentences: Sequence[str] = CORPUS) -> Run:
    asked = whitened_config(dim)
    return finished(evaluate.run(store, asked, None, TASKS, lambda: model, 4, "cpu", sentences=lambda: sentences))  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("dim", [None, 5])
def test_figures_are_those_of_whitened_vectors(file_store: Store, encoder: Encoder, dim: int | None) -> None:
    """Of the same vectors, whitened by hand; and it is another run than the plain one, told apart on the leaderboard."""
    plain = finished(evaluate.run(file_store, config(), None, TASKS, lambda: encoder, 4, "cpu"))
    run = evaluated(file_store, encoder, dim)
    assert run.id != plain.id
    learned = Whitening.learn([encoder.encode(CORPUS, 64)], dim)
    wanted = [
        (task.name, figure.subset, figure.name, pytest.approx(figure.value, abs=1e-6), figure.n)
        for task in TASKS
        for figure in sts.evaluate(task, lambda texts: learned.apply(encoder.encode(texts, 64)))
    ]
    rows = [(row.task, row.subset, row.name, row.value, row.n) for row in training.metrics(file_store, run)]
    assert sorted(rows, key=lambda row: row[:3]) == sorted(wanted, key=lambda row: row[:3])
    assert training.metrics(file_store, run) != training.metrics(file_store, plain)
    (board,) = leaderboard.read(file_store)
    settings = [row["setting"] for row in board.document()["models"]]
    assert [(setting["whiten"], setting["whiten_dim"]) for setting in settings] == [(None, None), ("c" * 12, dim)]
    names = [row.name for row in board.rows]
    assert names == ["bert", "bert whiten=cccccccccccc" + (f" whiten_dim={dim}" if dim else "")]


def test_plain_and_whitened_share_their_vectors(file_store: Store, encoder: Encoder) -> None:
    """What is kept is what the model computed: neither whitens what the other reads, and no model is needed twice."""
    evaluated(file_store, encoder)
    list(evaluate.run(file_store, config(), None, TASKS, never, 4, "cpu"))
    plain = Store.memory()
    run = finished(evaluate.run(plain, config(), None, TASKS, lambda: encoder, 4, "cpu"))
    assert training.metrics(file_store, run) == training.metrics(plain, run)


@pytest.mark.parametrize("ticks", range(1, 7))
def test_walking_away_while_whitening_and_running_again(file_store: Store, encoder: Encoder, ticks: int) -> None:
    """The same rows as without a break, also from a store in memory, which keeps no vectors."""
    whole = Store.memory()
    evaluated(whole, encoder)
    sentences = {"sentences": lambda: CORPUS}
    going = evaluate.run(file_store, whitened_config(), None, TASKS, lambda: encoder, 4, "cpu", **sentences)  # type: ignore[arg-type]
    assert len(list(itertools.islice(going, ticks))) == ticks
    going.close()  # type: ignore[attr-defined]
    evaluated(file_store, encoder)
    assert content(file_store) == content(whole)


def test_dimensions_that_are_left_out_are_said(file_store: Store, encoder: Encoder) -> None:
    asked = whitened_config()
    going = evaluate.run(file_store, asked, None, TASKS, lambda: encoder, 4, "cpu", sentences=lambda: CORPUS[:6])
    said = [tick.warning for tick in going if tick.warning]
    assert said == ["whitening keeps 5 of 32 dimensions: in the others the 6 sentences do not vary"]
    run = file_store.begin("eval", evaluate.VERSION, asked, None)
    assert run.finished


@pytest.mark.parametrize(
    ("sentences", "dim", "says"),
    [
        (CORPUS[:6], 6, "vary in 5 of 32 dimensions only"),
        (CORPUS[:1], None, "two sentences at least, not 1"),
        (CORPUS[:1] * 3, None, "3 sentences do not vary"),
    ],
)
def test_sentences_that_teach_too_little_are_a_problem(
    file_store: Store, encoder: Encoder, sentences: list[str], dim: int | None, says: str
) -> None:
    with pytest.raises(Problem, match=says):
        evaluated(file_store, encoder, dim, sentences)
    assert file_store.rows("SELECT count(*) FROM metrics") == [(0,)]


def test_alignment_and_uniformity_are_rows(store: Store, encoder: Encoder) -> None:
    """Beside the task's own figures, as computed from the same vectors, with their n and error."""
    asked = replace(config(TASKS[:2]), analysis=True)
    tasks = [Analysed(task) for task in TASKS[:2]]
    run = finished(evaluate.run(store, asked, None, tasks, lambda: encoder, 4, "cpu"))
    assert run.id != store.begin("eval", evaluate.VERSION, config(TASKS[:2]), None).id
    rows = {(row.task, row.name): row for row in training.metrics(store, run) if row.name in FIGURES}
    assert len(rows) == 4
    for task in TASKS[:2]:
        for figure in figures(task, lambda texts: encoder.encode(texts, 64)):
            row = rows[task.name, figure.name]
            assert (row.subset, row.n) == ("", figure.n)
            assert (row.value, row.error) == pytest.approx((figure.value, figure.error), abs=1e-6)


@pytest.fixture
def sentences_file(tmp_path: Path) -> Path:
    path = tmp_path / "sentences.jsonl"
    path.write_text("".join(json.dumps({"n": n, "words": text}) + "\n" for n, text in enumerate(CORPUS)))
    return path


def test_the_command_whitens_analyses_and_draws(tiny_encoder: Path, sentences_file: Path, tmp_path: Path) -> None:
    """One command: figures in the document, a picture in the file; typed again it says the same without another run."""
    picture = tmp_path / "p.svg"
    asked = ("eval", tiny_encoder, "--pooler", "mean", "--db", tmp_path / "s.db", "--analysis", "--plot", picture)
    whiten = ("--whiten", sentences_file, "--whiten-column", "words", "--whiten-dim", 4)
    plain, said = multicsr(*asked, "--json").json, multicsr(*asked, *whiten, "--json").json
    assert plain["run"] != said["run"]
    assert [row["metric"] for row in said["results"]] == ["alignment", "spearman", "uniformity"]
    assert {row["metric"]: row["n"] for row in said["results"]} == {
        "alignment": 153,
        "spearman": 440,
        "uniformity": 880 * 879 // 2,
    }
    head = next(row for row in said["results"] if row["metric"] == "spearman")
    assert f"mini: Spearman {head['value']:.2f} ± {head['error']:.2f}, n = 440" in picture.read_text()
    assert f"{tiny_encoder} whitened by sentences.jsonl to 4 dimensions" in picture.read_text()
    drawn = picture.read_bytes()
    picture.unlink()
    assert multicsr(*asked, *whiten, "--json").json == said
    assert picture.read_bytes() == drawn
    other = tmp_path / "other.jsonl"
    other.write_text(sentences_file.read_text().replace("guitar", "piano"))
    changed = multicsr(*asked, "--whiten", other, *whiten[2:], "--json").json
    assert changed["run"] not in (plain["run"], said["run"])


def test_the_screen_keeps_apart_what_is_not_times_100(tiny_encoder: Path, tmp_path: Path) -> None:
    """A table of its own for the analysis, and bars of 80 columns that count every pair."""
    asked = ("eval", tiny_encoder, "--pooler", "mean", "--db", tmp_path / "s.db", "--analysis", "--histogram")
    out = multicsr(*asked).out
    first, second = out.split("not x 100")
    assert "spearman" in first
    assert "alignment" not in first
    table, bars = second.split("mini: cosines of 440 pairs")
    assert "alignment" in table
    assert "uniformity" in table
    lines = [line for line in bars.splitlines() if ".." in line]
    assert sum(int(line[14:].split()[0]) for line in lines) == 440
    assert max(map(len, lines)) == 80


def test_a_complete_evaluation_is_drawn_without_its_model(
    file_store: Store, tiny_encoder: Path, sentences_file: Path
) -> None:
    """From the kept vectors, whitened anew; the cosines are those whose correlation was stored."""
    from stages.files import sources

    asked = {"pooler": "mean", "whiten": sources.source(sentences_file, "words"), "means": Means("cpu", 64)}
    evaluated = evaluation(file_store, str(tiny_encoder), [sts.mini("test")], **asked)
    run = evaluated.job.run().run
    (drawn,) = pairs.pairs_of(replace(evaluated, subject=replace(evaluated.subject, load=never)))
    (row,) = training.metrics(file_store, run)
    assert (drawn.task, drawn.spearman, drawn.error) == ("mini", row.value, row.error)
    assert sts.spearman(drawn.cosines, drawn.gold)[0] == pytest.approx(drawn.spearman, abs=1e-9)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--whiten-dim", 3), "--whiten-dim 3 goes with --whiten"),
        (("--whiten", "sentences.jsonl"), "which column"),
        (("--whiten", "sentences.jsonl", "--whiten-column", "n"), "not a text"),
        (("--whiten", "sentences.jsonl", "--whiten-column", "words", "--whiten-dim", 0), "--whiten-dim 0"),
        (("--whiten", "sentences.jsonl", "--whiten-column", "words", "--whiten-dim", 30), "of 32 dimensions only"),
        (("--whiten", "bundled", "--whiten-column", "words"), "--whiten-column"),
        (("--whiten", "none.txt"), "none.txt"),
        (("--plot", "none/p.png"), "none/p.png"),
        (("--plot", "p.pdf"), "p.pdf"),
        (("--histogram", "--json"), "--histogram"),
        (("--plot", "p.png", "--against", "minilm"), "--plot draws one model, not 2"),
    ],
)
def test_wrong_words_are_refused(
    tiny_encoder: Path,
    sentences_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: tuple[object, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = multicsr("eval", tiny_encoder, "--pooler", "mean", "--db", tmp_path / "s.db", *args)
    assert_problem(ended)
    assert says in ended.err
    assert "--column" not in ended.err
