"""LLMs behind a server: how one is asked, and what a run of theirs cost. Arrow: name and URL -> LLM."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stages.settings import Settings, setting
from store.problem import Problem

# Requests at once where nothing else is said: servers of one's own take that many side by side, and hosted ones allow it.
IN_FLIGHT = 8
MOST_IN_FLIGHT = 1024  # connections; a slip of the finger must not open more than a process may have

# Seconds until a request is given up. A large model on a processor takes a minute for a sentence.
TIMEOUT = 120.0


@dataclass(frozen=True, kw_only=True)
class Server(Settings):
    """How a hosted LLM is asked; none of it is config but the URL. Raises Problem for a value out of range."""

    base_url: str | None = setting("with openai:MODEL: the OpenAI-compatible server", None, metavar="URL")
    in_flight: int | None = setting(
        "with openai:MODEL: requests at once", None, usual=str(IN_FLIGHT), low=1, high=MOST_IN_FLIGHT
    )
    timeout: float | None = setting(
        "with openai:MODEL: seconds for a request", None, usual=f"{TIMEOUT:g}", low=0, above=True
    )
    price_in: float | None = setting("price of a million prompt tokens: shows the cost", None, low=0)
    price_out: float | None = setting("the same for tokens that the LLM writes", None, low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.price_in is None) != (self.price_out is None):
            given, other = ("price_in", "price_out") if self.price_out is None else ("price_out", "price_in")
            raise Problem(f"{given} alone gives no cost", f"give {other}=F too; 0 where nothing is charged", given)

    def given(self) -> str | None:
        """The first of these settings that is set, its value left out: a URL may hold a key."""
        return next((name for name, value in vars(self).items() if value is not None), None)

    def cost(self, counts: Mapping[str, Any]) -> dict[str, Any]:
        """Tokens of a hosted run and, where prices are given, its cost: of the whole run, not of this command alone."""
        shown = {name: counts[name] for name in ("prompt_tokens", "completion_tokens") if name in counts}
        if shown and self.price_in is not None and self.price_out is not None:
            million = 1_000_000
            price = counts["prompt_tokens"] * self.price_in + counts["completion_tokens"] * self.price_out
            shown["cost"] = round(price / million, 6)
        return shown


def cells(result: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """A result as rows of a table; a cost may be far below a hundredth, where other figures end."""
    return [(name, f"{value:.6f}" if name == "cost" else value) for name, value in result.items()]


NOWHERE = Server()  # nothing is said of a hosted LLM


@dataclass(frozen=True)
class Reached:
    """An LLM that was found: its fingerprint, where and in what number format it works, the URL of its server, if it has
    one, and a function that loads it when it is first needed."""

    fingerprint: str
    device: str
    dtype: str
    base_url: str | None
    load: Callable[[], Any]


def reach(name: str, server: Server, device: str, dtype: str, stop: Sequence[str]) -> Reached:
    """The hosted LLM called `name`, which may stop writing at the texts `stop`. Raises Problem."""
    from stages.models import catalog
    from stages.models.llm import hosted

    for word, value in (("device", device), ("dtype", dtype)):
        if value != "auto":
            raise Problem(
                f"{word} {value} goes with an LLM on this machine, and {name} is behind a server",
                "leave it out",
                word,
            )
    located, key = catalog.hosted(name, server.base_url), hosted.api_key()

    def load() -> Any:
        return hosted.HostedModel(located, key, stop, server.in_flight or IN_FLIGHT, server.timeout or TIMEOUT)

    return Reached(located.fingerprint, "server", "auto", located.base_url, load)
