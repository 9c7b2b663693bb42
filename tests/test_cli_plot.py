"""What is drawn of measured pairs: bins and bands by hand, and pictures that tell their figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multicsr.report import pairs as plot
from multicsr.report.pairs import DrawnPairs
from multicsr_cli import shown_pairs
from store.problem import Problem


def drawn(n: int = 60, seed: int = 0, low: float = -0.4, high: float = 1.0) -> DrawnPairs:
    generator = np.random.default_rng(seed)
    gold = generator.integers(0, 26, n) / 5
    cosines = low + (high - low) * (gold / 5 + generator.random(n)) / 2
    return DrawnPairs("stsb", cosines, gold, 76.5432, 1.2345)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.sampled_from([plot.TEXT_BINS, plot.PICTURE_BINS]))
def test_bins_hold_every_cosine_between_round_numbers(cosines: list[float], most: int) -> None:
    """Not more bins than asked for, of one of the widths; a finer width would have needed more."""
    found = np.array(cosines)
    edges = plot.bin_edges(found, most)
    assert 2 <= len(edges) <= most + 1
    assert edges[0] - 2e-6 <= found.min()
    assert found.max() <= edges[-1] + 2e-6
    width = float(edges[1] - edges[0])
    place = int(np.argmin([abs(width - one) for one in plot.WIDTHS]))
    assert width == pytest.approx(plot.WIDTHS[place])
    assert edges / width == pytest.approx(np.round(edges / width), abs=1e-6)
    if place:
        assert np.ptp(found) > (most - 1.001) * plot.WIDTHS[place - 1]


def test_a_cosine_a_rounding_beyond_one_is_counted() -> None:
    """In the outermost bin, whose edge it is at; an inner edge opens the next bin."""
    cosines = np.array([-1.0000001, 0.05, 0.0499, 1.0, 1.0000001])
    edges = plot.bin_edges(cosines, plot.TEXT_BINS)
    assert edges == pytest.approx(np.arange(-10, 11) / 10)
    assert plot.counted(cosines, edges).tolist() == [1, *[0] * 9, 2, *[0] * 8, 2]
    assert plot.counted(cosines, np.array([-1, 0.05, 1])).tolist() == [2, 3]


@pytest.mark.parametrize(
    ("gold", "names", "places"),
    [
        ([0, 1.9, 2, 3.9, 4, 5], ["< 2", "2 to < 4", "≥ 4"], [[0, 1], [2, 3], [4, 5]]),
        ([1, 2.5, 2.6, 4.2, 5], ["< 2.6", "2.6 to < 4.2", "≥ 4.2"], [[0, 1], [2], [3, 4]]),
        ([0, 0.4, 1], ["< 0.4", "0.4 to < 0.8", "≥ 0.8"], [[0], [1], [2]]),
    ],
)
def test_bands_follow_the_scale_of_the_gold_scores(
    gold: list[float], names: list[str], places: list[list[int]]
) -> None:
    """STS from 0 to 5, SICK from 1 to 5, one's own from 0 to 1: every pair in one band."""
    found = plot.bands(np.array(gold))
    assert [name for name, _ in found] == names
    assert [list(np.flatnonzero(inside)) for _, inside in found] == places


@pytest.mark.parametrize(("low", "high"), [(-0.4, 1.0), (0.981, 0.997), (-1.0, 1.0)])
def test_a_histogram_of_text_is_true_and_fits_a_terminal(low: float, high: float) -> None:
    """Each line counts the pairs between its edges, and a bar is as long as its count is large."""
    pairs = drawn(400, low=low, high=high)
    head, *lines = plot.bars(pairs)
    assert head.split() == ["cosine", "pairs", "gold"]
    assert max(map(len, [head, *lines])) <= 80
    assert len(lines) <= plot.TEXT_BINS
    longest = max(len(line) for line in lines)
    for line in lines:
        start, end = (float(edge) for edge in line[:14].split(".."))
        inside = (pairs.cosines >= start - 1e-12) & (pairs.cosines < end - 1e-12)
        count, gold = line[14:].split()[:2]
        assert int(count) == inside.sum()
        assert gold == (f"{np.median(pairs.gold[inside]):.2f}" if inside.any() else "-")
    counts = [int(line[14:].split()[0]) for line in lines]
    assert sum(counts) == 400
    assert len(lines[int(np.argmax(counts))]) == longest == 80


@pytest.mark.parametrize("count", [60, plot.MANY + 1])
def test_a_picture_tells_model_task_figure_and_number(tmp_path: Path, count: int) -> None:
    """Text stays text in an SVG file; the same pairs draw the same file; two tasks are two rows."""
    path = tmp_path / "p.svg"
    model = "$x_1$ & <model>"
    plot.draw(path, model, [drawn(count), DrawnPairs("my $pairs$.tsv", *drawn_arrays(), 12.0, 3.0)])
    written = path.read_text()
    assert "$x_1$ &amp; &lt;model&gt;" in written
    assert f"stsb: Spearman 76.54 ± 1.23, n = {count:,}" in written
    assert "my $pairs$.tsv: Spearman 12.00 ± 3.00, n = 9" in written
    assert written.count(">gold score</text>") == 2
    assert ("<image" in written) == (count > plot.MANY)
    plot.draw(path, model, [drawn(count), DrawnPairs("my $pairs$.tsv", *drawn_arrays(), 12.0, 3.0)])
    assert path.read_text() == written
    assert list(tmp_path.iterdir()) == [path]


def drawn_arrays() -> tuple[np.ndarray, np.ndarray]:
    """Nine pairs, fewer than quartiles are drawn for in most bins."""
    return np.linspace(0.1, 0.9, 9), np.array([0, 0, 0, 0, 1, 1, 2, 0.5, 1])


def test_a_png_is_one(tmp_path: Path) -> None:
    plot.draw(tmp_path / "p.PNG", "minilm", [drawn()])
    assert (tmp_path / "p.PNG").read_bytes().startswith(b"\x89PNG")


def test_a_file_that_cannot_be_drawn_is_refused_beforehand(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for name in ("p.jpg", "p", "folder.png", "none/p.png"):
        with pytest.raises(Problem, match=name):
            shown_pairs.check(tmp_path / name, False, False, 1)
    shown_pairs.check(tmp_path / "p.svg", True, False, 1)
