"""`Problem`: what a user can mend. The one leaf that every storey may import. Standard library only."""

from __future__ import annotations


class Problem(Exception):
    """Something the user can mend: `what` is wrong, with the value, and `remedy`, what to do about it. One line each.

    `setting` is the keyword whose value is refused, where it is one; `what` then begins with it. A text spells settings
    as Python does (`by='prompt'`): each face of the program shows them as its users typed them.
    """

    def __init__(self, what: str, remedy: str, setting: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.setting = setting

    def __reduce__(self) -> tuple[type, tuple[str, str, str | None]]:
        return type(self), (self.what, self.remedy, self.setting)  # from another process it comes whole

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"
