"""The ablation as a whole, on tiny models: every part is an ordinary run, and what exists is not done again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from multicsr_cli import ablation, gen
from multicsr_cli.reproduce import Ablation, Row, Scale, Setting, _grid
from stages.models import catalog, checkpoint, loading
from stages.tasks import registry
from store.database import Store
from store.records import Problem, Run


@pytest.fixture(scope="module")
def scale(tiny_llm: Path, tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Scale:
    folder = tmp_path_factory.mktemp("ablation")
    encoder = loading.encoder(catalog.locate(str(tiny_encoder), "encoder"), torch.device("cpu"), "mean")
    checkpoint.save(encoder, folder / "encoder", "a tiny base")
    premises = folder / "premises.txt"
    premises.write_text("".join(f"The number {place} bus stops here at night.\n" for place in range(12)))
    return Scale(
        premises=str(premises),
        limit=10,
        llm=str(tiny_llm),
        base=str(folder / "encoder"),
        mask_model=str(folder / "encoder"),
        dev="mini",
        settings=(*_grid((0.0, 0.0), (0.3, 0.3)), Setting(0.3, 0.0, True, True)),
        reference=(str(folder / "encoder"),),
        train_batch=4,
        lr=1e-3,
        epochs=1,
        eval_every=None,
    )


def rows_of(store: Store, scale: Scale) -> tuple[list[Row], list[Run]]:
    source = gen.read_source(scale.premises)
    job = Ablation(store, scale, source, scale.limit, 2, None, "cpu", "float32", 8, registry.chosen("mini", None))
    return job.run(), job.runs


def test_run_twice_it_gives_the_same_rows_and_no_new_run(scale: Scale, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "a.db")
    first, _ = rows_of(store, scale)
    runs = store.rows("SELECT id, finished FROM runs ORDER BY id")
    assert rows_of(store, scale)[0] == first
    assert store.rows("SELECT id, finished FROM runs ORDER BY id") == runs
    assert all(finished for _, finished in runs)
    assert len([run for run in first if run.setting]) == 9


def test_the_report_says_what_the_store_holds(scale: Scale, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "a.db")
    rows, runs = rows_of(store, scale)
    made = ablation.Ablation(rows, ["mini"], 2, tmp_path / "reports")
    path = made.write(store, scale, runs)
    text = path.read_text()
    for row in rows:
        assert row.name in text
    assert (tmp_path / "reports" / "ablation.png").stat().st_size > 1000
    assert (tmp_path / "reports" / "ablation.svg").stat().st_size > 1000
    json.dumps(made.document(), allow_nan=False)


def row(setting: Setting, figures: list[float]) -> Row:
    return Row(setting.name, setting, 9, None, None, None, None, {"mini": figures}, ["r"])


def test_sentences_compare_only_trainings_that_differ_in_one_refinement() -> None:
    """Curation adds 2 wherever both are there; the mixed setting and rows without a partner take no part."""
    grid = _grid((0.0, 0.0), (0.3, 0.3))
    noise = {0.0: [0.11, -0.13, 0.17], 0.3: [0.19, 0.23, -0.29]}
    rows = [row(s, [50 + 2 * s.curated + n * (1 + s.mask) for n in noise[s.omega]]) for s in grid]
    rows.append(row(Setting(0.3, 0.0, True, True), [90.0, 90.0, 90.0]))
    said = ablation.Ablation(rows, ["mini"], 3, Path()).sentences()
    assert "Curation helps on mini: +2.00" in said[1]
    assert "over 12 matched trainings" in said[1]
    assert "no difference" in said[2]


def test_trainings_that_came_out_equal_are_one_observation() -> None:
    """A mask that removes nothing trains twice alike; counting both would make any difference look surer than it is."""
    grid = _grid((0.0, 0.0), (0.3, 0.3))
    rows = [row(s, [50 + s.omega + 2 * s.curated, 51 - s.omega + s.curated]) for s in grid]
    said = ablation.Ablation(rows, ["mini"], 2, Path()).sentences()
    assert "over 4 matched trainings" in said[1]


def test_without_partners_nothing_is_claimed() -> None:
    said = ablation.Ablation([row(Setting(0.0, 0.0, False, False), [1.0, 2.0])], ["mini"], 2, Path()).sentences()
    assert all("too few" in sentence for sentence in said)


def test_paper_scale_names_everything_that_is_missing() -> None:
    from multicsr_cli.reproduce import SCALES, _refuse_without_means

    if torch.cuda.is_available():
        pytest.skip("this machine has the GPU whose absence is tested")
    with pytest.raises(Problem) as caught:
        _refuse_without_means(SCALES["paper"], None)
    assert "a CUDA device and --data DIR" in caught.value.what
