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
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx

from stages.models.catalog import Hosted
from stages.models.llm import completions
from stages.models.llm.completions import GOES_ON, KEYS, TransientFailure
from stages.models.llm.request import Draft, Line, Prompt, Sampling
from store.problem import Problem

# A request that fails is asked again this often, after pauses that double: about a minute in all, as a restart takes.
RETRIES = 6
PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds; the second bounds also what a server asks for (Retry-After)


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
    """The LLM `hosted`, with at most `in_flight` requests at once, each of at most `timeout` seconds.

    `stop` are texts at which the server may stop writing; `pause` is the first pause before a request is asked again.
    """

    def __init__(
        self,
        hosted: Hosted,
        key: str | None,
        stop: Sequence[str],
        in_flight: int,
        timeout: float,
        pause: float = PAUSE,
    ) -> None:
        self.hosted = hosted
        self.stop = list(stop)
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
        drafts = dict(pair for part in parts for pair in part)
        return [drafts[place] for place in range(len(lines))]

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
                    prompt = prompts[line.own].text
                    body = completions.body(self.hosted.model, prompt, line.key, max_tokens, sampling, self.stop)
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
        return Problem(f"{self.hosted.name} gives no next-token logits", "ask it by=prompt, without expected=True")

    def _client(self, most: int) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=most)
        # The whole of a request is timed by `_once`: a server that sends a byte now and then is slow too.
        return httpx.AsyncClient(headers=headers, limits=limits, timeout=None)

    async def _draft(
        self, client: httpx.AsyncClient, body: dict[str, Any], ends: Callable[[str], bool], halt: asyncio.Event
    ) -> Draft:
        """The answer to one request, asked again while a failure may pass and nothing says to `halt`."""
        for attempt in range(RETRIES + 1):
            try:
                return await self._once(client, body, ends)
            except TransientFailure as trouble:
                why = str(trouble)
                wanted = self.pause * 2**attempt * random.uniform(0.5, 1) if trouble.pause is None else trouble.pause
            if attempt == RETRIES or await _halted(halt, min(wanted, LONGEST_PAUSE)):
                break
            self._spent["retried"] += 1
        raise Problem(f"{self.hosted.name} at {self.hosted.base_url}: {why} (asked {attempt + 1} times)", GOES_ON)

    async def _once(self, client: httpx.AsyncClient, body: dict[str, Any], ends: Callable[[str], bool]) -> Draft:
        """One request. Raises TransientFailure for a failure that may pass, Problem for one that will not."""
        url = f"{self.hosted.base_url}/chat/completions"
        try:
            answer = await asyncio.wait_for(client.post(url, json=body), self.timeout)
        except TimeoutError:
            raise TransientFailure(f"no answer within {self.timeout:g} seconds") from None
        except httpx.ConnectError:
            if not self._reached:
                raise Problem(
                    f"no server answers at {self.hosted.base_url}", "start it, or check base_url=URL and the network"
                ) from None
            raise TransientFailure("the server can no longer be reached") from None
        except httpx.RequestError:
            raise TransientFailure("the connection was cut") from None
        self._reached = True
        if answer.status_code == httpx.codes.OK:
            draft, spent = completions.read(answer, ends)
        else:
            draft, spent = completions.refused(answer, self.hosted, self._key)
        self._spent.update(spent)
        return draft


async def _halted(halt: asyncio.Event, seconds: float) -> bool:
    """Wait; whether `halt` came meanwhile."""
    try:
        await asyncio.wait_for(halt.wait(), seconds)
    except TimeoutError:
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
