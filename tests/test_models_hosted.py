"""LLMs behind a server: whatever the server does, every text is written once, and what was answered is never lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chat import Chat, Mishap, completion, echo, failure

from stages.models import catalog
from stages.models.llm.hosted import RETRIES, HostedModel, api_key
from stages.models.llm.request import Draft, Line, Prompt, Sampling
from store.problem import Problem

KEY = "sk-0123456789-secret"
COUNT = 24


@pytest.fixture
def chat() -> Iterator[Chat]:
    opened = Chat()
    yield opened
    opened.close()


def model(chat: Chat, *, stop: tuple[str, ...] = ("\n",), **settings: Any) -> HostedModel:
    given = {"key": None, "in_flight": 4, "timeout": 30.0, "pause": 0.001, **settings}
    return HostedModel(catalog.hosted("openai:a-model", chat.url), stop=stop, **given)


def asked(count: int = COUNT) -> tuple[list[Prompt], list[Line]]:
    prompts = [Prompt(f"Say it: number {place}") for place in range(count)]
    return prompts, [Line(place, (), f"entailment/{place}") for place in range(count)]


def never(written: str) -> bool:
    return False


def write(llm: HostedModel, count: int = COUNT, **settings: Any) -> list[Draft]:
    return llm.write(*asked(count), 16, settings.pop("ends", never), **settings)


def one(chat: Chat, **settings: Any) -> Draft:
    return write(model(chat), 1, **settings)[0]


WHOLE = [Draft(f"It is said that number {place}", 5, True) for place in range(COUNT)]


def test_a_draft_for_each_line_in_their_order(chat: Chat) -> None:
    llm = model(chat)
    assert write(llm) == WHOLE
    assert llm.take_spent() == {"requests": COUNT, "prompt_tokens": 10 * COUNT, "completion_tokens": 5 * COUNT}
    assert llm.take_spent() == {}
    assert set(chat.answered.values()) == {1}


@pytest.mark.parametrize("in_flight", [1, 3, 4])
def test_as_many_requests_are_in_flight_as_allowed_and_no_more(in_flight: int) -> None:
    """An answer comes only when all that are allowed have been asked: fewer would wait forever."""
    together = threading.Barrier(in_flight)

    def says(prompt: str) -> dict[str, Any]:
        together.wait(60)
        return echo(prompt)

    chat = Chat(says)
    assert write(model(chat, in_flight=in_flight)) == WHOLE
    assert chat.most == in_flight
    chat.close()


def test_fewer_where_the_caller_says_so(chat: Chat) -> None:
    chat.lasts = 0.01
    parts = list(model(chat, in_flight=8).writing(*asked(), 16, never, at_once=2))
    assert sorted(place for part in parts for place, _ in part) == list(range(COUNT))
    assert chat.most <= 2


MISHAPS = {
    "too many": failure(429, Retry_After="0"),
    "too many, by a date that has passed": failure(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
    "broken": failure(500),
    "down": Mishap(503, b"<html>down</html>"),
    "cut": Mishap(cut=True),
    "silent": Mishap(silence=2.0),
    "half a document": Mishap(body=b'{"choices": [{"mess'),
    "no UTF-8": Mishap(body=b'{"choices": "\xff"}'),
    "no object": Mishap(body=b"[1, 2]"),
    "no choices": Mishap(body=b'{"choices": []}'),
    "an error with status 200": Mishap(body=b'{"error": {"message": "overloaded"}}'),
    "no reason": Mishap(body=b'{"choices": [{"message": {"content": "x"}}]}'),
    "no text": Mishap(body=b'{"choices": [{"message": {"content": 3}, "finish_reason": "stop"}]}'),
}


@pytest.mark.parametrize("name", MISHAPS)
def test_what_may_pass_is_asked_again(chat: Chat, name: str) -> None:
    chat.mishaps = [MISHAPS[name]] * 5
    llm = model(chat, timeout=0.5 if name == "silent" else 30.0)
    assert write(llm) == WHOLE
    spent = llm.take_spent()
    assert (spent["requests"], spent["retried"]) == (COUNT, 5)
    assert set(chat.answered.values()) == {1}
    assert len(chat.asked) == COUNT + 5


def test_retry_after_is_heeded(chat: Chat) -> None:
    """The model's own first pause would be a minute."""
    chat.mishaps = [failure(429, Retry_After="0")] * 3
    assert write(model(chat, pause=1e9)) == WHOLE


@pytest.mark.parametrize("name", [name for name in MISHAPS if name != "silent"])
def test_what_does_not_pass_ends_it_after_so_many_times(chat: Chat, name: str) -> None:
    chat.forever = MISHAPS[name]
    with pytest.raises(Problem) as caught:
        one(chat)
    assert len(chat.asked) == RETRIES + 1
    assert f"asked {RETRIES + 1} times" in caught.value.what
    assert "the same command goes on" in caught.value.remedy


def test_a_server_that_stays_silent(chat: Chat) -> None:
    chat.forever = Mishap(silence=0.5)
    with pytest.raises(Problem, match=r"no answer within 0\.1 seconds"):
        write(model(chat, timeout=0.1), 1)


@pytest.mark.parametrize(
    ("mishap", "says"),
    [
        (failure(400, "prompt is too long"), "the server answers 400: prompt is too long"),
        (failure(404, "no such model"), "has no model a-model"),
        (failure(403), "refuses a request without a key"),
        (failure(302), "the server answers 302"),
        (failure(429, "pay first", "insufficient_quota"), "the server answers 429: pay first"),
    ],
)
def test_what_will_not_pass_ends_it_at_once_with_the_others_answered(chat: Chat, mishap: Mishap, says: str) -> None:
    """One prompt fails for good; what was in flight beside it is yielded all the same."""
    chat.mishaps, chat.about = [mishap], "number 5"
    llm = model(chat)
    seen: dict[int, Draft] = {}

    def read() -> None:
        for part in llm.writing(*asked(), 16, never):
            seen.update(part)

    with pytest.raises(Problem, match=says):
        read()
    assert len(seen) == sum(chat.answered.values()) == llm.take_spent()["requests"]
    assert 5 <= len(seen) < COUNT
    assert all(WHOLE[place] == draft for place, draft in seen.items())


def test_no_server_at_all() -> None:
    chat = Chat()
    chat.close()
    with pytest.raises(Problem, match=f"no server answers at {chat.url}/v1"):
        one(chat)


def test_what_is_asked(chat: Chat) -> None:
    llm = model(chat, stop=("\n", "a", "b", "c", "d"))
    write(llm, 2)
    write(llm, 2, sampling=Sampling(seed=3, temperature=0.7, top_p=0.9))
    greedy, sampled = sorted(chat.asked[:2], key=str), sorted(chat.asked[2:], key=str)
    assert [body["messages"] for body in greedy] == [
        [{"role": "user", "content": f"Say it: number {place}"}] for place in range(2)
    ]
    for body in greedy:
        assert (body["model"], body["max_tokens"], body["temperature"]) == ("a-model", 16, 0)
        assert body["stop"] == ["\n", "a", "b", "c"]  # the protocol takes four
        assert "top_p" not in body
    assert [(body["temperature"], body["top_p"]) for body in sampled] == [(0.7, 0.9)] * 2
    assert len({body["seed"] for body in greedy + sampled}) == 4
    assert all(0 <= body["seed"] < 2**31 for body in greedy + sampled)


def says_always(chat: Chat, *args: Any, **kwargs: Any) -> None:
    chat.says = lambda prompt: completion(*args, **kwargs)


def test_what_the_llm_says_of_itself(chat: Chat) -> None:
    says_always(chat, None)
    assert one(chat) == Draft("", 5, True)
    says_always(chat, None, refusal="I will not.")
    assert one(chat) == Draft("I will not.", 5, True, "refusal")
    says_always(chat, "Half a", "content_filter")
    assert one(chat) == Draft("Half a", 5, True, "filtered")
    says_always(chat, "And on and", "length")
    assert one(chat) == Draft("And on and", 5, False)
    assert one(chat, ends=lambda written: "on" in written) == Draft("And on and", 5, True)


def test_a_prompt_that_the_provider_filters_is_a_draft_like_any_other(chat: Chat) -> None:
    chat.mishaps, chat.about = [failure(400, "no", "content_filter")], "number 5"
    llm = model(chat)
    assert write(llm) == [*WHOLE[:5], Draft("", 0, True, "filtered"), *WHOLE[6:]]
    assert (llm.take_spent())["unmetered"] == 1


@pytest.mark.parametrize("usage", [{}, {"prompt_tokens": 3}, {"prompt_tokens": -1, "completion_tokens": 2}, [], "x"])
def test_tokens_that_are_not_told_are_said_to_be_unknown(chat: Chat, usage: Any) -> None:
    says_always(chat, "Yes.", usage=usage)
    llm = model(chat)
    write(llm, 1)
    assert llm.take_spent()["unmetered"] == 1


def test_no_thread_and_no_connection_is_left(chat: Chat) -> None:
    """Also where the caller walks away in the middle."""
    chat.lasts = 0.05
    going = model(chat, in_flight=6).writing(*asked(), 16, never)
    next(going)
    going.close()  # type: ignore[attr-defined]
    assert [thread.name for thread in threading.enumerate() if "asyncio" in thread.name] == []
    assert len(chat.asked) < COUNT


def test_the_key_is_sent_in_its_header_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    chat = Chat(key=KEY)
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    assert write(model(chat, key=api_key()), 2) == WHOLE[:2]
    assert all(headers["authorization"] == f"Bearer {KEY}" for headers in chat.headers)
    assert KEY not in str(chat.asked)
    monkeypatch.setenv("MULTICSR_API_KEY", "another")
    assert api_key() == "another"
    with pytest.raises(Problem) as caught:
        write(model(chat, key=api_key()), 1)
    assert "refuses the key in the environment (401)" in caught.value.what
    assert "another" not in caught.value.what + caught.value.remedy
    chat.close()


@pytest.mark.parametrize("status", [400, 404, 409, 500])
def test_a_key_that_the_server_repeats_is_not_shown(chat: Chat, status: int) -> None:
    chat.forever = failure(status, f"what is this: Bearer {KEY}?")
    with pytest.raises(Problem) as caught:
        write(model(chat, key=KEY), 1)
    assert "what is this" in caught.value.what
    assert KEY not in caught.value.what + caught.value.remedy


def test_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("MULTICSR_API_KEY", " ")
    assert api_key() is None


@pytest.mark.parametrize("key", ["sk-täg", "sk 1", "sk-1\nsk-2", "sk-\x07"])
def test_a_key_that_is_none(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(Problem) as caught:
        api_key()
    assert "OPENAI_API_KEY" in caught.value.what
    assert key not in caught.value.what + caught.value.remedy


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://localhost:8000/", "http://localhost:8000/v1"),
        ("http://LocalHost:8000/v1/", "http://localhost:8000/v1"),
        ("HTTPS://API.openai.com:443", "https://api.openai.com/v1"),
        ("https://openrouter.ai/api", "https://openrouter.ai/api/v1"),
        ("https://host/v1beta/openai/", "https://host/v1beta/openai"),
        ("http://[::1]:8080", "http://[::1]:8080/v1"),
    ],
)
def test_a_server_has_one_name(typed: str, meant: str) -> None:
    found, same = (catalog.hosted("openai:m", url) for url in (typed, meant))
    assert found == same
    assert found.base_url == meant
    assert found.fingerprint != catalog.hosted("openai:n", typed).fingerprint
    assert found.fingerprint != catalog.hosted("openai:m", "http://elsewhere").fingerprint


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://host/v1",
        "http://",
        "http://[::1",
        "http://host:port/v1",
        "http://me:secret@host/v1",
        "http://secret@host/v1",
        "http://host/v1?key=secret",
        "http://host/v1#secret",
    ],
)
def test_a_url_that_is_none_or_would_give_a_secret_away(url: str) -> None:
    with pytest.raises(Problem) as caught:
        catalog.hosted("openai:m", url)
    assert caught.value.what.startswith("base_url ")
    assert caught.value.setting == "base_url"
    assert "secret" not in caught.value.what + caught.value.remedy


def test_what_else_is_refused(chat: Chat) -> None:
    refusals: list[Callable[[], Any]] = [
        lambda: catalog.hosted("openai:", chat.url),
        lambda: catalog.hosted("openai:m", None),
        lambda: catalog.locate("openai:m", "llm"),
        lambda: catalog.locate("openai:m", "encoder"),
        lambda: model(chat).log_likelihoods([(Prompt("a"), "b")]),
        lambda: model(chat).expectations([Prompt("a")], ["1"]),
    ]
    for refused in refusals:
        with pytest.raises(Problem):
            refused()
    assert chat.asked == []


def test_torch_is_not_loaded() -> None:
    code = "import sys, stages.models.llm.hosted; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
