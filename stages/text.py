"""Reading what an LLM wrote: where a sentence ends, what is decoration, what is no answer. Pure functions on text."""

from __future__ import annotations

import re

# Words whose full stop does not end a sentence.
ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st mt jr sr vs etc no fig vol approx dept est inc ltd co e.g i.e a.m p.m u.s u.k".split()  # noqa: SIM905
)

_END = re.compile(r"[.!?]+[\"')\]]*(?=\s)")
_WORD_BEFORE = re.compile(r"([\w.]*\w)\.?$")
_DECORATION = re.compile(r"^[\s\"'`*_>-]+|[\s\"'`*_]+$")
_REFUSAL = re.compile(
    r"^(i'?m sorry|sorry,|i apologi[sz]e|i (can'?t|cannot|can not|won'?t|am unable|am not able)\b.*\b"
    r"(help|assist|write|provide|generate|create|answer|do that|comply|fulfil)"
    r"|as an? (ai|artificial|language model|large language)|i do not have enough (information|context))",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:[.,]\d+)?(?!\w)")


def sentence_end(text: str) -> int | None:
    """Where the first sentence ends (the index behind it) if something follows it, else None.

    A full stop behind an abbreviation or an initial ends nothing: "Mr. Lee spoke. He" ends behind "spoke.".
    """
    for match in _END.finditer(text):
        if match.group().startswith(".") and (before := _WORD_BEFORE.search(text[: match.start()])):
            word = before.group(1).casefold()
            if word in ABBREVIATIONS or (len(word) == 1 and word.isalpha()):
                continue
        return match.end()
    return None


def clean(raw: str, stop: tuple[str, ...], one_sentence: bool) -> str:
    """The hypothesis within `raw`: cut at the first stop text and sentence end, without quotes around it."""
    text = raw.lstrip()
    for mark in stop:
        text = text.split(mark, 1)[0]
    if one_sentence and (end := sentence_end(text)) is not None:
        text = text[:end]
    return re.sub(r"\s+", " ", _DECORATION.sub("", text))


def problem(text: str, ended: bool) -> str | None:
    """Why a cleaned hypothesis cannot be used: 'empty', 'refusal', 'runaway' (it never came to an end), or None."""
    if not any(character.isalnum() for character in text):
        return "empty"
    if _REFUSAL.match(text):
        return "refusal"
    return None if ended else "runaway"


def first_number(reply: str, low: float, high: float) -> float | None:
    """The first number in `reply` if it lies in [low, high], else None: 'about 3.5 of 5' -> 3.5, '10' -> None."""
    match = _NUMBER.search(reply)
    if match is None:
        return None
    value = float(match.group().replace(",", "."))
    return value if low <= value <= high else None
