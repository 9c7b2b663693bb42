"""`multicsr eval --data` on a small folder in the SentEval layout: which tasks are found, the figures, the average."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
from conftest import PREMISES, Piped
from scipy import stats
from shell import multicsr

from stages.tasks import sts


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All seven STS tasks, eight pairs a file."""
    root, draw = tmp_path_factory.mktemp("layout"), random.Random(0)
    folder = root / "data" / "downstream"

    def pairs() -> list[tuple[str, str, str]]:
        return [(*draw.sample(PREMISES, 2), f"{draw.uniform(0, 5):.2f}") for _ in range(8)]

    for year, subsets in sts.YEARS.items():
        place = folder / "STS" / f"STS{year.removeprefix('sts')}-en-test"
        place.mkdir(parents=True)
        for subset in subsets:
            rows = pairs()
            (place / f"STS.input.{subset}.txt").write_text("".join(f"{one}\t{two}\n" for one, two, _ in rows))
            (place / f"STS.gs.{subset}.txt").write_text("".join(f"{gold}\n" for *_, gold in rows))
    place = folder / "STS" / "STSBenchmark"
    place.mkdir()
    for split in ("dev", "test"):
        rows = pairs()
        lines = [f"main\tcaptions\t2012\t{n}\t{gold}\t{one}\t{two}\n" for n, (one, two, gold) in enumerate(rows)]
        (place / f"sts-{split}.csv").write_text("".join(lines))
    (folder / "SICK").mkdir()
    for name in ("SICK_test_annotated.txt", "SICK_trial.txt"):
        lines = [f"{n}\t{one}\t{two}\t{gold}\tNEUTRAL\n" for n, (one, two, gold) in enumerate(pairs())]
        (folder / "SICK" / name).write_text("pair_ID\tA\tB\trelatedness\tjudgment\n" + "".join(lines))
    return root


def test_the_average_is_the_mean_of_the_seven_headlines(layout: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    model = ("eval", tiny_encoder, "--pooler", "mean", "--db", tmp_path / "s.db", "--json", "--data")
    said = multicsr(*model, layout, "--tasks", "sts").json
    heads = {row["task"]: row for row in said["results"] if row["metric"] == "spearman" and not row.get("subset")}
    assert list(heads) == sorted(sts.GROUP)
    assert said["average"]["sts"] == pytest.approx(mean(row["value"] for row in heads.values()))
    for task, row in heads.items():
        parts = [one for one in said["results"] if one["task"] == task and one.get("subset")]
        assert {one["subset"] for one in parts} == set(sts.YEARS.get(task, ()))
        assert row["n"] == 8 * max(len(parts), 1)
        assert row["error"] > 0
    for levels in ("data", "data/downstream"):
        assert multicsr(*model, layout / levels, "--tasks", "sts").json["run"] == said["run"]
    some = multicsr(*model, layout, "--tasks", "stsb, sickr,stsb").json
    assert some["average"] == {}
    assert [row["value"] for row in some["results"]] == [heads[task]["value"] for task in ("sickr", "stsb")]


def test_a_figure_is_the_correlation_of_cosine_and_gold(layout: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    import torch

    from stages.models import catalog, loading

    model = ("eval", tiny_encoder, "--pooler", "mean", "--db", tmp_path / "s.db", "--json", "--data", layout)
    (row,) = multicsr(*model, "--tasks", "stsb").json["results"]
    encoder = loading.encoder(catalog.locate(str(tiny_encoder), "encoder"), torch.device("cpu"), "mean")
    lines = (layout / "data/downstream/STS/STSBenchmark/sts-test.csv").read_text().splitlines()
    fields = [line.split("\t") for line in lines]
    one, two = (encoder.encode([field[place] for field in fields], 8).astype(float) for place in (5, 6))
    cosine = (one * two).sum(1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1))
    rho = stats.spearmanr(cosine, [float(field[4]) for field in fields]).statistic
    assert row["value"] == pytest.approx(100 * rho)


def test_without_tasks_what_is_there_is_measured(layout: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    some = tmp_path / "some"
    (some / "SICK").mkdir(parents=True)
    name = "SICK_test_annotated.txt"
    (some / "SICK" / name).write_text((layout / "data/downstream/SICK" / name).read_text())
    model = ("eval", tiny_encoder, "--pooler", "mean", "--db", tmp_path / "s.db", "--json")
    said = multicsr(*model, "--data", some)
    assert {row["task"] for row in said.json["results"]} == {"sickr"}
    assert "sickr" in said.err


def test_a_task_file_cut_short_is_refused_with_its_line(layout: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    place = tmp_path / "STS" / "STSBenchmark"
    place.mkdir(parents=True)
    (place / "sts-test.csv").write_text("main\tcaptions\t2012\t1\t2.5\tone\ttwo\nmain\tcaptions\n")
    ended = multicsr(
        "eval", tiny_encoder, "--pooler", "mean", "--tasks", "stsb", "--data", tmp_path, "--db", tmp_path / "s.db"
    )
    assert ended.code == 1
    assert "line 2: 2 fields, not 7" in ended.err
    assert not (tmp_path / "s.db").exists()


def test_a_training_is_measured_on_a_dev_split_of_the_data(layout: Path, copied: Piped) -> None:
    said = multicsr(*copied.commands["train"], "--dev", "stsb", "--data", layout, "--db", copied.db, "--json").json
    assert said["dev"]["task"] == "stsb"
