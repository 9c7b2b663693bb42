"""An LLM behind an OpenAI-compatible server (hosted, vLLM, llama.cpp, Ollama): prompts go out, drafts come in.

Arrow: none of its own. `gen` and `score` are handed a `HostedModel` as they are a `LanguageModel`; there are no logits, so
nothing is contrasted and nothing read off but words. Nothing here loads torch.

A bounded number of requests is in flight, all on one event loop in the caller's thread: while the caller stores what was
answered the loop stands still, and an interrupt leaves neither a thread nor a request behind. What may pass by itself (429,
5xx, timeouts, cut connections, answers that are no JSON) is asked again, later each time; what will not ends the run when
those in flight have come in, so that no answer that was paid for is thrown away.

The key comes from the environment and goes into one header. It is in no message, URL or row.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from stages.models.catalog import Hosted
from stages.models.llm.request import Draft, Line, Prompt, Sampling
from store.problem import Problem

KEYS = ("MULTICSR_API_KEY", "OPENAI_API_KEY")  # in the environment; the first that is set counts

# A request that fails is asked again this often, after pauses that double: about a minute in all, as a restart takes.
RETRIES = 6
PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds; the second bounds also what a server asks for (Retry-After)

STOPS = 4  # the protocol takes no more; the others cut the text when it has come in

LONGEST_MESSAGE = 200  # characters of what a server says of a failure


class Passing(Exception):
    """A failure that may pass by itself. `pause` is how many seconds the server asks to wait, if it does."""

    def __init__(self, why: str, pause: float | None = None) -> None:
        super().__init__(why)
        self.pause = pause


class Malformed(Exception):
    """An answer that is not what the protocol says."""


def api_key() -> str | None:
    """The key from the environment; None where there is none, as servers of one's own want none."""
    for name in KEYS:
        key = os.environ.get(name, "").strip()
        if key:
            if not (key.isascii() and key.isprintable() and " " not in key):
                raise Problem(f"{name} holds characters that no key has", f"set {name} again, to the key alone")
            return key
    return None


class HostedModel:
    """The LLM `found`, with at most `in_flight` requests at once, each of at most `timeout` seconds.

    `stop` are texts at which the server may stop writing; `pause` is the first pause before a request is asked again.
    """

    def __init__(
        self,
        found: Hosted,
        key: str | None,
        stop: Sequence[str],
        in_flight: int,
        timeout: float,
        pause: float = PAUSE,
    ) -> None:
        self.found = found
        self.stop = list(stop[:STOPS])
        self.in_flight = in_flight
        self.timeout = timeout
        self.pause = pause
        self._key = key
        self._reached = False  # whether the server has ever answered
        self._spent: Counter[str] = Counter()

    def wrap(self, message: str) -> str:
        """`message` itself: it is sent as the user's turn, and the server knows the model's chat format."""
        return message

    def capacity(self, prompts: Sequence[Prompt], lines: Sequence[Line], max_tokens: int) -> int:
        """As many as keep `in_flight` requests under way; memory is the server's own."""
        return max(1, -(-self.in_flight // max(len(lines), 1)))

    def take_spent(self) -> dict[str, int]:
        """Since this was last called: requests answered, asked again (`retried`), and tokens of prompts and completions.

        `unmetered` requests are those of which the server gave no tokens.
        """
        spent, self._spent = dict(self._spent), Counter()
        return spent

    def write(
        self,
        prompts: Sequence[Prompt],
        lines: Sequence[Line],
        max_tokens: int,
        ends: Callable[[str], bool],
        sampling: Sampling | None = None,
    ) -> list[Draft]:
        """A draft for each line, in their order."""
        parts = self.writing(prompts, lines, max_tokens, ends, sampling)
        found = dict(pair for part in parts for pair in part)
        return [found[place] for place in range(len(lines))]

    def writing(
        self,
        prompts: Sequence[Prompt],
        lines: Sequence[Line],
        max_tokens: int,
        ends: Callable[[str], bool],
        sampling: Sampling | None = None,
        at_once: int | None = None,
    ) -> Iterator[list[tuple[int, Draft]]]:
        """A draft for each line, with no more than `at_once` requests in flight; yields (place in `lines`, draft) as answers
        come in. Raises Problem where one fails for good, after all those in flight have been yielded.
        """
        most = min(self.in_flight, at_once or self.in_flight)
        left = iter(enumerate(lines))
        going: dict[asyncio.Task[Draft], int] = {}
        failure: Problem | None = None
        loop, halt = asyncio.new_event_loop(), asyncio.Event()
        client = self._client(most)
        try:
            while True:
                while failure is None and len(going) < most and (following := next(left, None)) is not None:
                    place, line = following
                    body = self._body(prompts[line.own].text, line.key, max_tokens, sampling)
                    going[loop.create_task(self._draft(client, body, ends, halt))] = place
                if not going:
                    break
                done, _ = loop.run_until_complete(asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED))
                answered = []
                for task in done:
                    place = going.pop(task)
                    try:
                        answered.append((place, task.result()))
                    except Problem as error:
                        failure = failure or error
                        halt.set()
                if answered:
                    yield sorted(answered, key=lambda pair: pair[0])
        finally:
            _close(loop, client)
        if failure is not None:
            raise failure

    def log_likelihoods(self, pairs: Sequence[tuple[Prompt, str]]) -> list[float]:
        """Raises Problem: a server gives no log-likelihood of a text of ours."""
        raise self._no_logits()

    def expectations(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[float] | None:
        """Raises Problem: a server does not give the probability of each choice."""
        raise self._no_logits()

    def _no_logits(self) -> Problem:
        return Problem(f"{self.found.name} gives no next-token logits", "ask it --by prompt, without --expected")

    def _client(self, most: int) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=most)
        # The whole of a request is timed by `_once`: a server that sends a byte now and then is slow too.
        return httpx.AsyncClient(headers=headers, limits=limits, timeout=None)

    def _body(self, prompt: str, key: str, max_tokens: int, sampling: Sampling | None) -> dict[str, Any]:
        """The request for one text. Its seed depends on the line, never on when it is asked."""
        body: dict[str, Any] = {
            "model": self.found.model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_tokens,
            "temperature": 0 if sampling is None else sampling.temperature,
            "seed": _seed(0 if sampling is None else sampling.seed, key),
        }
        if sampling is not None:
            body["top_p"] = sampling.top_p
        if self.stop:
            body["stop"] = self.stop
        return body

    async def _draft(
        self, client: httpx.AsyncClient, body: dict[str, Any], ends: Callable[[str], bool], halt: asyncio.Event
    ) -> Draft:
        """The answer to one request, asked again while a failure may pass and nothing says to `halt`."""
        for attempt in range(RETRIES + 1):
            try:
                return await self._once(client, body, ends)
            except Passing as trouble:
                why = str(trouble)
                wanted = self.pause * 2**attempt * random.uniform(0.5, 1) if trouble.pause is None else trouble.pause
            if attempt == RETRIES or await _halted(halt, min(wanted, LONGEST_PAUSE)):
                break
            self._spent["retried"] += 1
        raise Problem(f"{self.found.name} at {self.found.base_url}: {why} (asked {attempt + 1} times)", GOES_ON)

    async def _once(self, client: httpx.AsyncClient, body: dict[str, Any], ends: Callable[[str], bool]) -> Draft:
        """One request. Raises Passing for a failure that may pass, Problem for one that will not."""
        url = f"{self.found.base_url}/chat/completions"
        try:
            answer = await asyncio.wait_for(client.post(url, json=body), self.timeout)
        except asyncio.TimeoutError:
            raise Passing(f"no answer within {self.timeout:g} seconds") from None
        except httpx.ConnectError:
            if not self._reached:
                raise Problem(
                    f"no server answers at {self.found.base_url}", "start it, or check --base-url and the network"
                ) from None
            raise Passing("the server can no longer be reached") from None
        except httpx.RequestError:
            raise Passing("the connection was cut") from None
        self._reached = True
        if answer.status_code != httpx.codes.OK:
            return self._failed(answer)
        try:
            draft = self._read(answer.json(), ends)
        except (ValueError, Malformed) as error:
            what = str(error) if isinstance(error, Malformed) else "it is not JSON"
            raise Passing(f"an answer that cannot be read: {what}") from None
        return draft

    def _failed(self, answer: httpx.Response) -> Draft:
        """Raises what the status means; one prompt that the provider's filter keeps out is a draft like any other."""
        status, code, message = answer.status_code, *self._explained(answer)
        if status in (401, 403):
            given = "the key in the environment" if self._key else "a request without a key"
            raise Problem(
                f"{self.found.base_url} refuses {given} ({status})",
                f"set {KEYS[1]} or {KEYS[0]} to a key that may use {self.found.model}; {GOES_ON}",
            )
        if status == 404:
            raise Problem(
                f"{self.found.base_url} has no model {self.found.model}, or is no OpenAI-compatible server (404){message}",
                "check --llm openai:MODEL and --base-url",
            )
        if status == 400 and code == "content_filter":
            self._spent.update(requests=1, unmetered=1)
            return Draft("", 0, True, "filtered")
        if code != "insufficient_quota" and (status in (408, 429) or status >= 500):
            raise Passing(f"the server answers {status}{message}", _retry_after(answer.headers.get("Retry-After")))
        raise Problem(
            f"{self.found.name} at {self.found.base_url}: the server answers {status}{message}",
            f"mend what it names; {GOES_ON}",
        )

    def _explained(self, answer: httpx.Response) -> tuple[str | None, str]:
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
        elif self._key:
            said = said.replace(self._key, "***")
        said = " ".join(said.split())[:LONGEST_MESSAGE]
        return (code if isinstance(code, str) else None), f": {said}" if said else ""

    def _read(self, content: Any, ends: Callable[[str], bool]) -> Draft:
        """The draft in a chat completion; raises Malformed where it is none. What it cost is added up."""
        choices = _member(content, "choices", list)
        if not choices:
            raise Malformed("choices is empty")
        message, finish = _member(choices[0], "message", dict), _member(choices[0], "finish_reason", str)
        text, refusal = message.get("content"), message.get("refusal")
        if not isinstance(text, str | None) or not isinstance(refusal, str | None):
            raise Malformed("its content is no text")
        usage = content.get("usage")
        asked, written = (_tokens(usage, name) for name in ("prompt_tokens", "completion_tokens"))
        self._spent.update(requests=1, prompt_tokens=asked or 0, completion_tokens=written or 0)
        if asked is None or written is None:
            self._spent["unmetered"] += 1
        problem = "filtered" if finish == "content_filter" else "refusal" if refusal and not text else None
        found = text or refusal or ""
        return Draft(found, written or 0, finish != "length" or ends(found), problem)


GOES_ON = "what was written is stored, and the same command goes on"


async def _halted(halt: asyncio.Event, seconds: float) -> bool:
    """Wait; whether `halt` came meanwhile."""
    try:
        await asyncio.wait_for(halt.wait(), seconds)
    except asyncio.TimeoutError:
        return False
    return True


def _close(loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient) -> None:
    """Give up what is still in flight, and leave no connection, thread or loop behind."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(client.aclose())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


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
    return max((until - datetime.now(timezone.utc)).total_seconds(), 0.0) if until.tzinfo else None


def _member(content: Any, name: str, kind: type) -> Any:
    value = content.get(name) if isinstance(content, dict) else None
    if not isinstance(value, kind):
        raise Malformed(f"it has no {name}")
    return value


def _tokens(usage: Any, name: str) -> int | None:
    """A count of tokens, where the server gives one."""
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None
