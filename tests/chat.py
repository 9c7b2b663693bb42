"""A small real server on 127.0.0.1 that speaks the chat-completions protocol, and misbehaves when told to."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "a-model"


@dataclass
class Mishap:
    """What happens instead of a good answer: a status with a body, the connection cut, or silence for some seconds."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    silence: float = 0.0


def failure(status: int, message: str = "not now", code: str | None = None, **headers: str) -> Mishap:
    body = json.dumps({"error": {"message": message, "code": code}}).encode()
    return Mishap(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def completion(text: str | None, finish: str = "stop", usage: Any = None, **message: Any) -> dict[str, Any]:
    """A chat completion of the protocol's form; 10 tokens asked and 5 written where nothing else is said."""
    return {
        "object": "chat.completion",
        "model": MODEL,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5} if usage is None else usage,
    }


def echo(prompt: str) -> dict[str, Any]:
    """What it writes if nothing else is said: a sentence that differs with the prompt, and the same whenever asked."""
    return completion(f"It is said that {prompt.split(':')[-1].strip(' =')}")


class Chat:
    """`says` answers a prompt. `mishaps` come first, one a request, `forever` always; both at any prompt that contains
    `about`. `asked` are the bodies that came, `headers` theirs, `most` the requests there were at once."""

    def __init__(self, says: Callable[[str], dict[str, Any]] = echo, key: str | None = None) -> None:
        self.says = says
        self.key = key
        self.mishaps: list[Mishap] = []
        self.forever: Mishap | None = None
        self.about = ""
        self.lasts = 0.0  # seconds that an answer takes
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answered: Counter[str] = Counter()
        self.now = self.most = 0
        self.lock = threading.Lock()
        chat = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or every answer waits 40 ms for the client to acknowledge its headers

            def log_message(self, *args: Any) -> None:
                pass

            def do_POST(self) -> None:
                with suppress(BrokenPipeError, ConnectionResetError):
                    chat.answer(self)

        class Server(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # clients that are killed leave broken connections

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        body = json.loads(to.rfile.read(int(to.headers["Content-Length"])))
        prompt = body["messages"][0]["content"]
        with self.lock:
            self.asked.append(body)
            self.headers.append({name.lower(): value for name, value in to.headers.items()})
            self.now += 1
            self.most = max(self.most, self.now)
            mishap = self.forever
            if mishap is None and self.mishaps and self.about in prompt:
                mishap = self.mishaps.pop(0)
            elif self.about not in prompt:
                mishap = None
        try:
            time.sleep(self.lasts)
            self.reply(to, prompt, mishap)
        finally:
            with self.lock:
                self.now -= 1

    def reply(self, to: BaseHTTPRequestHandler, prompt: str, mishap: Mishap | None) -> None:
        if to.path != "/v1/chat/completions":
            mishap = failure(404, "no such path")
        elif self.key is not None and to.headers.get("Authorization") != f"Bearer {self.key}":
            mishap = failure(401, f"Incorrect API key provided: {to.headers.get('Authorization')}")
        if mishap is not None and mishap.cut:
            to.close_connection = True
            to.connection.close()
            return
        if mishap is not None and mishap.silence:
            time.sleep(mishap.silence)
        said = Mishap(body=json.dumps(self.says(prompt)).encode()) if mishap is None else mishap
        to.send_response(said.status)
        for name, value in {"Content-Type": "application/json", **said.headers}.items():
            to.send_header(name, value)
        to.send_header("Content-Length", str(len(said.body)))
        to.end_headers()
        to.wfile.write(said.body)
        to.wfile.flush()
        if mishap is None:
            with self.lock:
                self.answered[prompt] += 1

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
