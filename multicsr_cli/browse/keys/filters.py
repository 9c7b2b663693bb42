"""Keys that choose what is shown: verdict, reason, source, order, and the thresholds that decide anew."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from multicsr_cli.browse import funnel
from multicsr_cli.browse.keys.reader import RunReader
from multicsr_cli.browse.numbers import SORTS, VERDICTS
from store.rule import LEVELS


class FilterKeys(RunReader):
    """Answered from the numbers in memory."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "verdict"),
        Binding("r", "reason(1)"),
        Binding("R", "reason(-1)"),
        Binding("s", "source"),
        Binding("o", "sort"),
        Binding("O", "turn"),
        Binding("t", "plane"),
        *(
            Binding(key, f"threshold('{name}', {sign})")
            for name in (level.threshold for level in LEVELS)
            for key, sign in ((name[0], -1), (name[0].upper(), 1))
        ),
        Binding("0", "reset"),
    ]

    def action_verdict(self) -> None:
        self.choose(verdict=_next(VERDICTS, self.state.chosen.verdict, 1))

    def action_reason(self, by: int) -> None:
        numbers, judged = self.state.numbers, self.state.judged
        if numbers is not None and judged is not None:
            reasons = funnel.count(numbers, judged, None, True).reasons
            self.choose(reason=_next((None, *reasons), self.state.chosen.reason, by))

    def action_source(self) -> None:
        numbers = self.state.numbers
        if numbers is None or numbers.source is None:
            self.tell("the sources are being read")
        elif len(numbers.sources) < 2:
            self.tell(f"all rows are from {', '.join(numbers.sources) or 'nowhere'}")
        else:
            self.choose(source=_next((None, *numbers.sources), self.state.chosen.source, 1))

    def action_sort(self) -> None:
        self.choose(sort=_next(SORTS, self.state.chosen.sort, 1))

    def action_turn(self) -> None:
        self.choose(descending=not self.state.chosen.descending)

    def action_threshold(self, name: str, sign: int) -> None:
        if self.state.numbers is not None and self.is_scored():
            self.state.move(name, sign)
            self.filter()

    def action_reset(self) -> None:
        self.state.reset()
        self.filter()

    def action_plane(self) -> None:
        if self.is_scored():
            self.state.plane = not self.state.plane
            self.show_left()

    def is_scored(self) -> bool:
        """Whether there are scores to look at; says so where there are none."""
        view = self.state.view
        if view is not None and view.score is None:
            self.tell(f"nothing is scored yet: `multicsr score {view.gen.id}`")
        return view is not None and view.score is not None


def _next(choices: tuple[Any, ...], now: Any, by: int) -> Any:
    """The choice after (before) this one, round and round."""
    place = choices.index(now) if now in choices else 0
    return choices[(place + by) % len(choices)]
