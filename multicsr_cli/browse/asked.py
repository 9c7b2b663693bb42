"""What a user types into the one line that asks: a score range, read."""

from __future__ import annotations

import math
import re

from store.problem import Problem

_PART = re.compile(r"(a\s*[-−]\s*b|a|b)\s*(<=|>=|<|>|=|≤|≥)\s*(-?\d+(?:\.\d+)?)")


def ranges(text: str) -> tuple[tuple[str, float, float], ...]:
    """`a>=2 b<1.5 a-b<=0` as (quantity, low, high), both ends included. Raises Problem for anything else."""
    left = _PART.sub("", text).replace(",", " ").strip()
    if left:
        raise Problem(f"{left!r} is no score range", "write it like this: a>=2 b<1.5 a-b<=0")
    found = []
    for name, sign, value in _PART.findall(text):
        low, high, number = -math.inf, math.inf, float(value)
        if sign in (">", ">=", "≥", "="):
            low = math.nextafter(number, math.inf) if sign == ">" else number
        if sign in ("<", "<=", "≤", "="):
            high = math.nextafter(number, -math.inf) if sign == "<" else number
        found.append((re.sub(r"\s*[-−]\s*", "−", name), low, high))
    return tuple(found)
