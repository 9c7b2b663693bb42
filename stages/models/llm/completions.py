"""The chat-completions protocol of OpenAI-compatible servers: the request for one text, and what an answer says.

Arrow: none of its own; `hosted.py` sends and waits. What may pass by itself is a `TransientFailure`, what will not a Problem.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from stages.models.catalog import Hosted
from stages.models.llm.request import Draft, Sampling
from store.problem import Problem

KEYS = ("MULTICSR_API_KEY", "OPENAI_API_KEY")  # in the environment; the first that is set counts

STOPS = 4  # the protocol takes no more; the others cut the text when it has come in

LONGEST_MESSAGE = 200  # characters of what a server says of a failure

GOES_ON = "what was written is stored, and the same command goes on"


class TransientFailure(Exception):
    """A failure that may pass by itself. `pause` is how many seconds the server asks to wait, if it does."""

    def __init__(self, why: str, pause: float | None = None) -> None:
        super().__init__(why)
        self.pause = pause


class Malformed(Exception):
    """An answer that is not what the protocol says."""


def body(
    model: str, prompt: str, key: str, max_tokens: int, sampling: Sampling | None, stop: Sequence[str]
) -> dict[str, Any]:
    """The request for one text. Its seed depends on the line's `key`, never on when it is asked."""
    request: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": max_tokens,
        "temperature": 0 if sampling is None else sampling.temperature,
        "seed": _seed(0 if sampling is None else sampling.seed, key),
    }
    if sampling is not None:
        request["top_p"] = sampling.top_p
    if stop:
        request["stop"] = list(stop[:STOPS])
    return request


def read(answer: httpx.Response, ends: Callable[[str], bool]) -> tuple[Draft, Counter[str]]:
    """The draft in an answer of status 200, and what it cost. Raises TransientFailure where it is no chat completion."""
    try:
        return _completion(answer.json(), ends)
    except (ValueError, Malformed) as error:
        what = str(error) if isinstance(error, Malformed) else "it is not JSON"
        raise TransientFailure(f"an answer that cannot be read: {what}") from None


def _completion(content: Any, ends: Callable[[str], bool]) -> tuple[Draft, Counter[str]]:
    choices = _member(content, "choices", list)
    if not choices:
        raise Malformed("choices is empty")
    message, finish = _member(choices[0], "message", dict), _member(choices[0], "finish_reason", str)
    text, refusal = message.get("content"), message.get("refusal")
    if not isinstance(text, str | None) or not isinstance(refusal, str | None):
        raise Malformed("its content is no text")
    usage = content.get("usage")
    asked, written = (_tokens(usage, name) for name in ("prompt_tokens", "completion_tokens"))
    spent = Counter(requests=1, prompt_tokens=asked or 0, completion_tokens=written or 0)
    if asked is None or written is None:
        spent["unmetered"] = 1
    problem = "filtered" if finish == "content_filter" else "refusal" if refusal and not text else None
    said = text or refusal or ""
    return Draft(said, written or 0, finish != "length" or ends(said), problem), spent


def refused(answer: httpx.Response, hosted: Hosted, key: str | None) -> tuple[Draft, Counter[str]]:
    """What an answer of another status means: raises TransientFailure or Problem.

    One prompt that the provider's filter keeps out is a draft like any other.
    """
    status, code, message = answer.status_code, *_explained(answer, key)
    if status in (401, 403):
        given = "the key in the environment" if key else "a request without a key"
        raise Problem(
            f"{hosted.base_url} refuses {given} ({status})",
            f"set {KEYS[1]} or {KEYS[0]} to a key that may use {hosted.model}; {GOES_ON}",
        )
    if status == 404:
        raise Problem(
            f"{hosted.base_url} has no model {hosted.model}, or is no OpenAI-compatible server (404){message}",
            "check llm=openai:MODEL and base_url=URL",
        )
    if status == 400 and code == "content_filter":
        return Draft("", 0, True, "filtered"), Counter(requests=1, unmetered=1)
    if code != "insufficient_quota" and (status in (408, 429) or status >= 500):
        raise TransientFailure(f"the server answers {status}{message}", _retry_after(answer.headers.get("Retry-After")))
    raise Problem(
        f"{hosted.name} at {hosted.base_url}: the server answers {status}{message}", f"mend what it names; {GOES_ON}"
    )


def _explained(answer: httpx.Response, key: str | None) -> tuple[str | None, str]:
    """(error code, `: what the server says`) of a failure; a key that it repeats is blotted out."""
    try:
        content = answer.json()
    except ValueError:
        return None, ""
    error = content.get("error") if isinstance(content, dict) else None
    fields = error if isinstance(error, dict) else {"message": error}
    code, said = fields.get("code"), fields.get("message")
    if not isinstance(said, str) or not said:
        said = ""
    elif key:
        said = said.replace(key, "***")
    said = " ".join(said.split())[:LONGEST_MESSAGE]
    return (code if isinstance(code, str) else None), f": {said}" if said else ""


def _seed(seed: int, key: str) -> int:
    """31 bits of (seed, line), which every server takes."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=4).digest(), "big") >> 1


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which gives their number or a date; None where there is none to be read."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max((until - datetime.now(UTC)).total_seconds(), 0.0) if until.tzinfo else None


def _member(content: Any, name: str, kind: type) -> Any:
    value = content.get(name) if isinstance(content, dict) else None
    if not isinstance(value, kind):
        raise Malformed(f"it has no {name}")
    return value


def _tokens(usage: Any, name: str) -> int | None:
    """A count of tokens, where the server gives one."""
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None
