"""Reading what an LLM wrote: where a sentence ends, what is decoration, what is no answer. Pure functions on text."""

from __future__ import annotations

import re

# Words whose full stop does not end a sentence, each between blanks.
ABBREVIATIONS = " mr mrs ms dr prof st mt jr sr vs etc fig vol approx dept est inc ltd co e.g i.e a.m p.m u.s u.k "

# Letters of scripts that put no blanks between words, and Korean, which writes units right behind a number.
UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"

# Where a sentence may end, with the quotes that close behind it: before a blank, and behind a full-width mark before
# anything that is no such mark or quote.
_END = re.compile(
    r"[.!?؟۔।॥։።፧]+[\"')\]”’»]*(?=\s)"
    r"|[。！？｡]+[\"')\]”’»」』）]*(?=[^。！？｡\"')\]”’»」』）])"
)
_WORD_BEFORE = re.compile(r"([\w.]*\w)\.?$")
_NUMBERED = re.compile(r"\s+(?:\d|$)")  # what makes "no." short for "number"
_EDGE = re.compile(r"^(?:[\s*_`]|[->](?=\s|$))+|[\s*_`]+$")
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "„": "“", "「": "」", "『": "』"}
_REFUSAL = re.compile(
    r"^((i['’]?m sorry|sorry),?( but)? i\b.*\b(can['’]?t|cannot|not able|unable)"
    r"|i apologi[sz]e"
    r"|i (can['’]?t|cannot|can not|won['’]?t|am unable|am not able)\b.*\b"
    r"(help(?! but)|assist|write|provide|generate|create|answer|do that|comply|fulfil)"
    r"|as an? (ai|artificial|language model|large language)"
    r"|i do not have enough (information|context))",
    re.IGNORECASE,
)
_NUMBER = re.compile(rf"(?<![^\W{UNSPACED}])(?<!\.)[-+]?\d+(?:[.,]\d+)?(?![^\W{UNSPACED}]|[.,]\d)")


def sentence_end(text: str) -> int | None:
    """Where the first sentence ends (the index behind it) if something follows it, else None.

    A full stop behind an abbreviation or an initial ends nothing: "Mr. Lee spoke. He" ends behind "spoke.".
    """
    for match in _END.finditer(text):
        if match.group().startswith(".") and (before := _WORD_BEFORE.search(text[: match.start()])):
            word = before.group(1).casefold()
            numbered = word == "no" and _NUMBERED.match(text, match.end())
            if f" {word} " in ABBREVIATIONS or numbered or (len(word) == 1 and word.isalpha()):
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
    return re.sub(r"\s+", " ", _bare(text))


def _bare(text: str) -> str:
    """`text` without bullets, emphasis and blanks at its ends, and without quotes that enclose all of it or stand loose."""
    before = None
    while text != before:
        before, text = text, _EDGE.sub("", text)
        closing = _QUOTES.get(text[:1])
        if closing and (closing not in text[1:] or (text[-1] == closing and not {text[0], closing} & set(text[1:-1]))):
            text = text[1:].removesuffix(closing)
        elif text.endswith(('"', "”")) and {'"': '"', "”": "“"}[text[-1]] not in text[:-1]:
            text = text[:-1]
    return text


def problem(text: str, ended: bool, refusals: tuple[str, ...] = ()) -> str | None:
    """Why a cleaned hypothesis cannot be used: 'empty', 'refusal', 'runaway' (it never came to an end), or None.

    `refusals`: how they begin in the language of the prompts, beside the English ones that LLMs fall back on.
    """
    if not any(character.isalnum() for character in text):
        return "empty"
    if _REFUSAL.match(text) or text.casefold().startswith(tuple(start.casefold() for start in refusals)):
        return "refusal"
    return None if ended else "runaway"


def first_number(reply: str, low: float, high: float) -> float | None:
    """The first number in `reply` if it lies in [low, high], else None: 'about 3.5 of 5' -> 3.5, '10' -> None."""
    match = _NUMBER.search(reply)
    if match is None:
        return None
    value = float(match.group().replace(",", "."))
    return value if low <= value <= high else None
