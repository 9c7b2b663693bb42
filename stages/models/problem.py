"""A model that cannot be used, told to the user. Models know neither the store nor its `Problem`."""

from __future__ import annotations


class Unusable(Exception):
    """`what` is wrong with the model, with its name, and `remedy`, what to do about it. One line each."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.what, self.remedy)  # from another process it comes whole
