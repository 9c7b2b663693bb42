"""What the browser draws, as text: bars, the density of (a, b), curves, differences. Pure functions of what they show.

Nothing is told by colour alone: a kept cell has another sign than a dropped one, a word that differs is underlined.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt
from rich.text import Text

from multicsr_cli.screen import one_line
from stages.texts.replies import UNSPACED
from store import rule
from store.rule import Thresholds

KEEP_STYLE, DROP_STYLE, NEW_STYLE = "green", "red", "bold underline cyan"

# Shades of a cell by how many premises it holds against the fullest one, from few to many.
KEPT_SHADES, DROPPED_SHADES = "░▒▓█", "·:+#"

EIGHTHS = " ▏▎▍▌▋▊▉█"

# The dots of a braille character, by (row, column), as bits from U+2800.
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def bar(share: float, width: int) -> str:
    """A bar that fills `share` of `width` cells, to an eighth of a cell; what is there at all is seen."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    if share > 0:
        eighths = max(eighths, 1)
    full, rest = divmod(eighths, 8)
    return ("█" * full + EIGHTHS[rest].strip()).ljust(width)


def cut(text: str, width: int) -> str:
    """A text on one line of `width` cells, with an ellipsis where it is longer."""
    from rich.cells import cell_len, set_cell_size

    line = one_line(text)
    if cell_len(line) <= width:
        return set_cell_size(line, max(width, 0))
    return set_cell_size(line, max(width - 1, 0)) + "…" if width > 0 else ""


def differences(premise: str, hypothesis: str) -> Text:
    """The hypothesis with the words that its premise does not have in this order."""
    before, after = _words(premise), _words(hypothesis)
    plain, own = ([word.casefold() for word in words] for words in (before, after))
    shown = Text()
    for what, _, _, start, stop in SequenceMatcher(None, plain, own, autojunk=False).get_opcodes():
        words = "".join(after[start:stop])
        shown.append(words, NEW_STYLE if what in ("replace", "insert") and words.strip() else "")
    return shown


def _words(text: str) -> list[str]:
    """Words, punctuation and the spaces between them; joined they are the text again. Where a script puts no blanks between
    words, its letters."""
    return re.findall(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|\s+|[^\w\s]", text)


def density(cells: npt.NDArray[np.int64], thresholds: Thresholds | None) -> list[Text]:
    """The plane of (a, b) from `cells` (h, w): a to the right, b upwards, a mark at each threshold on a or b alone.

    A cell belongs to the kept region by its middle.
    """
    height, width = cells.shape
    marks = {"a": _marks(thresholds, "a", width), "b": _marks(thresholds, "b", height)}
    most = max(int(cells.max(initial=0)), 1)
    lines = []
    for row in reversed(range(height)):
        b = 5 * (row + 0.5) / height
        line = Text(_axis(row, height, "b"))
        bound = row in marks["b"]
        line.append("┤" if bound else "│", "bold" if bound else "dim")
        for column in range(width):
            a = 5 * (column + 0.5) / width
            kept = thresholds is not None and rule.keeps(a, b, thresholds)
            count = int(cells[row, column])
            # The square root shows thin regions beside a full one.
            shade = min(int(4 * (count / most) ** 0.5), 3)
            sign = (KEPT_SHADES if kept else DROPPED_SHADES)[shade] if count else ("'" if kept else " ")
            style = KEEP_STYLE if kept else DROP_STYLE if thresholds is not None else ""
            line.append(sign, style if count else "dim")
        lines.append(line)
    lines.append(Text("  └" + "".join("┴" if column in marks["a"] else "─" for column in range(width))))
    lines.append(Text("   0" + "a".center(width - 2) + "5"))
    return lines


def _marks(thresholds: Thresholds | None, quantity: str, cells: int) -> set[int]:
    """The cells of an axis in which the thresholds on this quantity lie."""
    if thresholds is None:
        return set()
    bounds = {level: thresholds[level.threshold] for level in rule.LEVELS if level.compared == quantity}
    return {min(int(bound * cells / 5), cells - 1) for level, bound in bounds.items() if level.asks(bound)}


def _axis(row: int, height: int, name: str) -> str:
    label = {0: "0", height - 1: "5", height // 2: name}.get(row, "")
    return label.rjust(2)


def curve(title: str, points: Sequence[tuple[float, float]], width: int, height: int, digits: int = 3) -> list[Text]:
    """A line through (x, y), x rising, on `width` x `height` cells with its scale; a dot is an eighth of a cell."""
    lines = [Text(title, "bold")]
    if not points:
        return [*lines, Text("  nothing measured yet", "dim")]
    xs, ys = np.array(points, dtype=np.float64).T
    low, high = float(ys.min()), float(ys.max())
    labels = [f"{value:.{digits}f}" for value in (high, low)]
    margin = max(map(len, labels)) + 1
    canvas = np.zeros((4 * height, 2 * max(width - margin - 1, 1)), bool)
    rows, columns = canvas.shape
    span = float(xs[-1] - xs[0]) or 1.0
    along = np.linspace(xs[0], xs[-1], columns)
    # As many dots as there are columns: between two measurements the line is straight.
    level = (np.interp(along, xs, ys) - low) / ((high - low) or 1.0)
    dots = np.rint((1 - level) * (rows - 1)).astype(int)
    for column, (above, below) in enumerate(zip(dots, np.roll(dots, -1), strict=True)):
        if column == columns - 1:
            below = above
        canvas[min(above, below) : max(above, below) + 1, column] = True
    for row in range(height):
        label = labels[1] if row == height - 1 else labels[0] if row == 0 and high > low else ""
        cells = canvas[4 * row : 4 * row + 4].reshape(4, -1, 2)
        drawn = "".join(
            chr(0x2800 + sum(DOTS[y][x] for y in range(4) for x in range(2) if cells[y, place, x]))
            for place in range(cells.shape[1])
        )
        lines.append(Text(label.rjust(margin) + "│" + drawn))
    first, last = f"{xs[0]:g}", f"{xs[-1]:g}" if span else ""
    lines.append(Text(" " * (margin + 1) + first + last.rjust(max(columns // 2 - len(first), len(last) + 1)), "dim"))
    return lines
