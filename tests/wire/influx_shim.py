"""What stands where an InfluxDB 2 would: takes ``/api/v2/write`` and hands it to a real server's ``/write``.

InfluxDB 1.6.7, the only one that installs here, is two versions too old to know that path. Without a server behind
it, the shim keeps points by itself. It can be told to answer anything, to hold an answer back, and to be gone.
"""

import http.client
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.line_protocol import Point, points_of


@dataclass(frozen=True)
class Reply:
    """An answer; ``held`` is waited for before it is given, ``is_late`` gives it after the lines were taken."""

    status: int = 204
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    held: threading.Event | None = None
    is_late: bool = False


def refusal(status: int, words: str, **headers: str) -> Reply:
    """Return an answer in the words of version 2."""
    return Reply(status, json.dumps({"code": "error", "message": words}).encode(), headers)


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Shim:
    """The server. ``replies`` are given one by one before it does its work; ``judge`` may answer any request."""

    def __init__(self, upstream_port: int | None = None) -> None:
        self.upstream_port = upstream_port
        self.requests: list[Request] = []
        self.asked = threading.Event()
        self.replies: deque[Reply] = deque()
        self.judge: Callable[[Request], Reply | None] = lambda _: None
        self.points: dict[tuple[object, ...], Point] = {}
        self._server: ThreadingHTTPServer | None = None
        self.up()
        self.port = self._address()

    def _address(self) -> int:
        assert self._server is not None
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> None:
        """Listen, on the same port as before."""
        handler = type("Handler", (_Handler,), {"shim": self})
        self._server = _Server(("127.0.0.1", getattr(self, "port", 0)), handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}).start()

    def down(self) -> None:
        """Be gone: connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def answer(self, request: Request) -> Reply:
        """Return what a request gets."""
        self.requests.append(request)
        self.asked.set()
        reply = self.replies.popleft() if self.replies else self.judge(request)
        if reply is not None and not reply.is_late:
            return reply
        done = self._keep(request) if self.upstream_port is None else self._pass_on(request)
        return reply or done

    def _keep(self, request: Request) -> Reply:
        for point in points_of(request.body):
            self.points[point.measurement, *sorted(point.tags.items()), point.at_ms] = point
        return Reply()

    def _pass_on(self, request: Request) -> Reply:
        query = urlencode({"db": request.query["bucket"], "precision": request.query["precision"]})
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream_port, timeout=30)
        try:
            connection.request("POST", f"/write?{query}", request.body)
            response = connection.getresponse()
            return Reply(response.status, response.read())
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: object) -> None:
        """A client that gave up is no news."""


class _Handler(BaseHTTPRequestHandler):
    shim: Shim
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self._give(self.shim.answer(Request(parts.path, query, dict(self.headers), body)))

    def _give(self, reply: Reply) -> None:
        if reply.held is not None:
            reply.held.wait(30)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name.replace("_", "-"), value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def lines_of(requests: Iterable[Request]) -> list[bytes]:
    """Return all lines that were sent."""
    return [line for request in requests for line in request.body.split(b"\n")]
