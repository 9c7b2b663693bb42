"""A small real hub on 127.0.0.1 for tests: it answers as huggingface.co does, and misbehaves when told to."""

from __future__ import annotations

import hashlib
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FIRST, SECOND = "1" * 40, "2" * 40  # two commits


@dataclass
class Served:
    """A file at a commit. `sent` is what is really sent; `size` and `etag` are what the hub says of it."""

    content: bytes
    big: bool = False  # in large-file storage: named by its sha256, sent by another host
    sent: bytes | None = None
    size: int | None = None

    @property
    def etag(self) -> str:
        if self.big:
            return hashlib.sha256(self.content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()


@dataclass
class Mishap:
    """What happens instead of one good answer: the connection is cut after `after` bytes, or a status is sent."""

    after: int | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "GET"


class Hub:
    """`files` by (repository, commit, path); `main` is the commit of that branch. `asked` are (method, path, headers)."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str, str], Served] = {}
        self.main = FIRST
        self.mishaps: list[Mishap] = []
        self.forever: Mishap | None = None
        self.ranges = True
        self.drip: float | None = None  # seconds between blocks
        self.plain = False  # answers as any web server, not as a hub
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.sent = 0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def do_HEAD(self) -> None:
                hub.answer(self)

            def do_GET(self) -> None:
                with suppress(BrokenPipeError, ConnectionResetError):
                    hub.answer(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, repo: str, path: str, content: bytes, commit: str = FIRST, **said: Any) -> Served:
        self.files[repo, commit, path] = Served(content, **said)
        return self.files[repo, commit, path]

    def gets(self) -> list[dict[str, str]]:
        """Headers of the requests for content that came to a sender of bytes."""
        return [headers for method, _, headers in self.asked if method == "GET"]

    def mishap(self, method: str) -> Mishap | None:
        if self.forever is not None and self.forever.method == method:
            return self.forever
        for place, mishap in enumerate(self.mishaps):
            if mishap.method == method:
                return self.mishaps.pop(place)
        return None

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        if "/datasets/" not in to.path:  # what else the library asks a hub for
            self.say(to, 404, {})
            return
        self.asked.append((to.command, to.path, {name.lower(): value for name, value in to.headers.items()}))
        resolved = to.path.removeprefix("/cdn").removeprefix("/datasets/").split("/resolve/")
        revision, _, path = resolved[-1].partition("/")
        commit = self.main if revision == "main" else revision
        served = self.files.get((resolved[0], commit, path))
        if served is None:
            known = any(repo == resolved[0] for repo, _, _ in self.files)
            self.say(to, 404, {"X-Error-Code": "EntryNotFound" if known else "RepoNotFound"})
            return
        away = served.big and not to.path.startswith("/cdn")
        mishap = None if away and to.command == "GET" else self.mishap(to.command)
        if mishap is not None and mishap.status is not None:
            self.say(to, mishap.status, mishap.headers)
            return
        size = len(served.content) if served.size is None else served.size
        said = {} if self.plain else {"X-Repo-Commit": commit, "X-Linked-Size": str(size)}
        if away:
            # Another name of this machine is another host to an HTTP client.
            where = f"http://localhost:{self.port}/cdn{to.path}"
            self.say(to, 302, {**said, "X-Linked-Etag": f'"{served.etag}"', "Location": where})
        elif to.command == "HEAD":
            self.say(to, 200, {**said, "ETag": f'"{served.etag}"'}, length=size)
        else:
            self.send(to, served.content if served.sent is None else served.sent, mishap)

    def say(self, to: BaseHTTPRequestHandler, status: int, headers: dict[str, str], length: int = 0) -> None:
        to.send_response(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            to.send_header(name, value)
        to.end_headers()

    def send(self, to: BaseHTTPRequestHandler, content: bytes, mishap: Mishap | None) -> None:
        asked, start = to.headers.get("Range"), 0
        if asked and self.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            self.say(
                to, 206, {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}, len(content) - start
            )
        else:
            self.say(to, 200, {}, len(content))
        end = len(content) if mishap is None or mishap.after is None else start + mishap.after
        for at in range(start, min(end, len(content)), 4096):
            block = content[at : min(at + 4096, end)]
            to.wfile.write(block)
            self.sent += len(block)
            if self.drip:
                to.wfile.flush()
                time.sleep(self.drip)
        to.wfile.flush()
        if end < len(content):
            to.close_connection = True
            to.connection.close()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
