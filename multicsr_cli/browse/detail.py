"""One triplet in full, in words: what was written, what it scored, what became of it and why, who said otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from multicsr_cli.browse.charts import DROP_STYLE, KEEP_STYLE, differences
from store.read.texts import Elsewhere, Side, Texts
from store.records import Run
from store.rows.reviews import Word
from store.rule import LEVELS, UNSCORED, Level, Thresholds

# Cells that a column needs for a sentence to be read with ease.
COLUMN = 34

PROBLEMS = {
    "empty": "{role} is empty",
    "refusal": "{role} is a refusal",
    "runaway": "{role} runs on without an end",
    "copy": "a hypothesis repeats its premise",
    "duplicate": "it repeats an earlier kept triplet",
}


@dataclass(frozen=True)
class FullTriplet:
    """All that is known of one triplet. `code` and `rule` are names of reasons, '' for kept; a and b as the rule reads
    them."""

    gen: Run
    texts: Texts
    sides: Sequence[Side]
    a: float | None
    b: float | None
    swapped: bool
    code: str
    rule: str
    thresholds: Thresholds | None
    said: Sequence[Word]
    elsewhere: Sequence[Elsewhere]

    @property
    def word(self) -> Word | None:
        """The word in force."""
        return self.said[-1] if self.said and self.said[-1].verdict else None


def verdict(code: str) -> str:
    """keep, drop, or nothing yet."""
    return {"": "keep", "waiting": "-", "undecided": "-"}.get(code, "drop")


def number(value: float | None) -> str:
    """A score as it is shown: up to three decimals."""
    return "-" if value is None or value != value else f"{value:.3f}".rstrip("0").rstrip(".")


def because(one: FullTriplet, reason: str) -> str:
    """Why the rule decides as it does, in words."""
    at = one.thresholds
    if reason in ("waiting", "undecided") or at is None:
        return {"waiting": "not scored yet", "undecided": "not decided yet"}.get(reason, reason)
    if one.a is not None and one.b is not None:
        if not reason:
            asked = [level for level in LEVELS if level.asks(at[level.threshold])]
            return ", ".join(_held(level, one.a, one.b, at, ("reaches", "stays within")) for level in asked)
        for level in LEVELS:
            if level.reason == reason:
                held = _held(level, one.a, one.b, at, ("is below", "is above"))
                return held if level.letter else f"{held}: {level.words}"
    if reason == UNSCORED:
        missing = " and ".join(name for name, value in (("a", one.a), ("b", one.b)) if value is None)
        return f"the reply holds no number for {missing}"
    roles = [side.role for side in one.sides if side.problem == reason]
    return PROBLEMS.get(reason, reason).format(role=f"the {roles[0]}" if roles else "a hypothesis")


def _held(level: Level, a: float, b: float, at: Thresholds, verbs: tuple[str, str]) -> str:
    """A quantity against its threshold; `verbs`: for a least and for a greatest value."""
    quantity, bound = number(round(level.quantity(a, b), 3)), f"{at[level.threshold]:g}"
    bound = f"{level.letter} = {bound}" if level.letter else bound
    return f"{level.compared} = {quantity} {verbs[0] if level.at_least else verbs[1]} {bound}"


def decision(one: FullTriplet) -> Text:
    """The verdict with its reason; a person's word before the rule's."""
    said = verdict(one.code)
    shown = Text(
        {"keep": "kept", "drop": "dropped"}.get(said, ""), f"bold {KEEP_STYLE if said == 'keep' else DROP_STYLE}"
    )
    if said == "-":
        return Text(because(one, one.code), "bold")
    if one.word is not None and verdict(one.rule) != said:
        return shown + Text(f" by a person; the rule: {because(one, one.rule)}")
    return shown + Text(f": {because(one, one.rule)}")


def full(one: FullTriplet, width: int) -> RenderableType:
    """The whole page on one triplet."""
    place = Text(f"{one.texts.source} {one.texts.position}  ", "dim") + decision(one)
    parts: list[RenderableType] = [place]
    for word in one.said[-1:]:
        note = f": {word.note}" if word.note else ""
        meant = {"keep": "a person keeps it", "drop": "a person drops it"}.get(
            word.verdict or "", "a word was taken back"
        )
        parts.append(Text(f"{meant}{note}", "bold") + Text(f"  {word.written[:16].replace('T', ' ')}", "dim"))
    parts.append(_sentences(one))
    if one.elsewhere:
        parts.append(_beside(one, width))
    for side in one.sides:
        parts.append(_heading(f"prompt of the {side.role}, {side.tokens} tokens"))
        parts.append(Text(side.prompt))
        if side.raw is not None:
            parts.append(_heading(f"raw {side.role}, before it was cleaned"))
            parts.append(Text(side.raw))
        if side.reply:
            parts.append(_heading(f"reply when the {side.role} was scored"))
            parts.append(Text(side.reply))
    return Group(*parts)


def _sentences(one: FullTriplet) -> Table:
    """The premise and both hypotheses with their scores, one below the other."""
    texts = [one.texts.entailment, one.texts.contradiction]
    if one.swapped:
        texts.reverse()
    mark = " swapped" if one.swapped else ""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column()
    grid.add_row("x", Text(one.texts.premise, "bold"))
    for label, text in zip((f"x+{mark} a {number(one.a)}", f"x-{mark} b {number(one.b)}"), texts, strict=True):
        grid.add_row(label, differences(one.texts.premise, text) if text else Text("(empty)", "dim"))
    return grid


def _heading(title: str) -> Text:
    return Text(f"── {title} ", "dim")


def omega(gen: Run) -> str:
    """The contrast of a gen run, in a word or two."""
    if "omega" not in gen.config:
        return "imported"
    both = [gen.config["omega"], gen.config["omega_contradiction"]]
    nu = f"  ν {number(gen.config['nu'])}" if gen.config["nu"] else ""
    return (f"ω {number(both[0])}" if both[0] == both[1] else f"ω {number(both[0])} / {number(both[1])}") + nu


def _beside(one: FullTriplet, width: int) -> Table:
    """The same premise as this and other gen runs wrote it, side by side, as many as fit."""
    others = list(one.elsewhere)[: max(width // COLUMN - 1, 1)]
    here = Elsewhere(one.gen, one.texts.entailment, one.texts.contradiction, *_unswapped(one))
    grid = Table.grid(padding=(0, 2), expand=True)
    columns = [here, *others]
    for _ in columns:
        grid.add_column(ratio=1)
    grid.add_row(
        *(
            _heading(f"{omega(column.gen)}{' (this run)' if column is here else f' {column.gen.id}'}")
            for column in columns
        )
    )
    for name, of, score in (("+", "entailment", "a"), ("-", "contradiction", "b")):
        grid.add_row(
            *(
                Text(f"x{name} {number(getattr(column, score))} ", "dim")
                + differences(one.texts.premise, getattr(column, of))
                for column in columns
            )
        )
    return grid


def _unswapped(one: FullTriplet) -> tuple[float | None, float | None]:
    return (one.b, one.a) if one.swapped else (one.a, one.b)
