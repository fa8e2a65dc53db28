"""What answers the playground's page: on 127.0.0.1 alone, to that page alone.

Every address holds a token that no other page knows; a request that names another host, or comes
from another origin, is refused. It runs nothing but resspec, and writes one file.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial
from hmac import compare_digest
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from threading import Lock
from typing import Any

from resspec import backend as backends
from resspec.diagnostics import SpecError
from resspec.files import MAX_BYTES
from resspec.options import LoadOptions
from resspec.play.complete import complete
from resspec.play.document import Document
from resspec.play.preview import LEVELS, preview, told

MOST = 4 * MAX_BYTES  # bytes of a request
SECONDS = 60  # that a connection may be silent
TYPES = {
    "page.html": "text/html; charset=utf-8",
    "play.css": "text/css; charset=utf-8",
    "play.js": "text/javascript; charset=utf-8",
    "codemirror.js": "text/javascript; charset=utf-8",
}
ALWAYS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Refused(Exception):
    """A request that is not answered, and why."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Server(ThreadingHTTPServer):
    """The playground of one document. `address` is what a browser opens."""

    daemon_threads = True
    request_queue_size = 16

    def __init__(
        self,
        document: Document,
        options: LoadOptions = LoadOptions(),
        outputs: Sequence[str] | None = None,
        port: int = 0,
    ) -> None:
        """port: 0 for a free one. Errors: OSError where it is taken."""
        self.document, self.options, self.outputs = document, options, outputs
        self.token = secrets.token_urlsafe(24)
        self.working = Lock()  # one text at a time: each is done before a reader sees it
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        """Without the look-up of the machine's name that the base class makes."""
        super(ThreadingHTTPServer, self).server_bind()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    @property
    def hosts(self) -> tuple[str, str]:
        """What a browser on this machine calls it."""
        return f"127.0.0.1:{self.server_port}", f"localhost:{self.server_port}"

    @property
    def address(self) -> str:
        return f"http://{self.hosts[0]}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no error."""

    # -- what there is to ask ------------------------------------------------------------

    def state(self, _: Any) -> dict[str, Any]:
        """The document, and what can be shown of it."""
        return self.document.state() | {"levels": LEVELS, "backends": backends.names()}

    def look(self, asked: dict[str, Any]) -> dict[str, Any]:
        """A text's problems and costs, and its picture or its source."""
        view, level = asked.get("view", "diagram"), asked.get("level", "stage")
        variant = asked.get("variant")
        known = view in ("diagram", "cost", *backends.names()) and level in LEVELS
        if not known or not isinstance(variant, str | None):
            raise Refused(HTTPStatus.BAD_REQUEST, "view, level, variant: words")
        with self.working:
            return preview(
                self.document.path,
                _text(asked),
                view=view,
                variant=variant or None,
                level=level,
                outputs=self.outputs,
                options=self.options,
            )

    def suggest(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What may stand at a place of a text."""
        text, offset = _text(asked), asked.get("offset")
        if not isinstance(offset, int) or not 0 <= offset <= len(text):
            raise Refused(HTTPStatus.BAD_REQUEST, "offset: a place of the text")
        return complete(text, offset)

    def save(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Write the document, if it is as the page last saw it."""
        seen, force = asked.get("seen"), asked.get("force") is True
        if not isinstance(seen, str):
            raise Refused(HTTPStatus.BAD_REQUEST, "seen: by what the file is known")
        with self.working:
            try:
                now = self.document.write(_text(asked), seen, force=force)
            except SpecError as caught:
                return {"error": told(caught)}
        return {"changed": True} if now is None else {"seen": now}


def _text(asked: dict[str, Any]) -> str:
    text = asked.get("text")
    if not isinstance(text, str):
        raise Refused(HTTPStatus.BAD_REQUEST, "text: the text")
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:  # half of a pair
        raise Refused(HTTPStatus.BAD_REQUEST, "text: no text") from None
    if size > MAX_BYTES:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a spec has at most 1 MiB")
    return text


class Handler(BaseHTTPRequestHandler):
    """One request: who asks is judged before what is asked."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = SECONDS
    server_version, sys_version = "resspec", ""

    def do_GET(self) -> None:
        """The page, and what it is made of."""
        self.answer(self.got)

    def do_POST(self) -> None:
        """What the page asks."""
        self.answer(self.posted)

    def got(self) -> None:
        name = self.asked() or "page.html"
        if name not in TYPES:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such page")
        data = files("resspec.play").joinpath("assets", name).read_bytes()
        nonce = secrets.token_urlsafe(16)
        if name == "page.html":
            data = data.replace(b"{{nonce}}", nonce.encode())
        policy = (
            f"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; "
            "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        self.send(HTTPStatus.OK, TYPES[name], data, {"Content-Security-Policy": policy})

    def posted(self) -> None:
        answers: dict[str, Callable[[Any], dict[str, Any]]] = {
            "state": self.server.state,
            "look": self.server.look,
            "suggest": self.server.suggest,
            "save": self.server.save,
        }
        name = self.asked()
        origin = self.headers.get("Origin")
        if origin not in [f"http://{host}" for host in self.server.hosts]:
            raise Refused(HTTPStatus.FORBIDDEN, "this is asked from another page")
        if name not in answers:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such thing to ask")
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "ask in JSON")
        asked, start = self.body(), time.perf_counter()
        data = json.dumps(answers[name](asked), ensure_ascii=False).encode("utf-8", "replace")
        timing = f"{name};dur={1e3 * (time.perf_counter() - start):.1f}"
        self.send(HTTPStatus.OK, "application/json", data, {"Server-Timing": timing})

    def asked(self) -> str:
        """What is asked for, behind the token."""
        if self.headers.get("Host") not in self.server.hosts:
            raise Refused(HTTPStatus.FORBIDDEN, "this is another host")
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise Refused(HTTPStatus.FORBIDDEN, "this is asked from another page")
        _, token, name = (*self.path.split("/", 2), "", "")[:3]
        if not compare_digest(token.encode(), self.server.token.encode()):
            raise Refused(HTTPStatus.FORBIDDEN, "open the address that `resspec play` printed")
        return name.partition("?")[0]

    def body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "how long is it?")
        if len(length) > 12 or int(length) > MOST:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "that is too long")
        try:
            found = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise Refused(HTTPStatus.BAD_REQUEST, "that is no JSON") from None
        if not isinstance(found, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "ask with an object")
        return found

    def answer(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Refused as refusal:
            self.close_connection = True  # a body that was not read is not taken for a request
            send = partial(self.send, refusal.status, "text/plain; charset=utf-8")
            send(f"{refusal}\n".encode(), {"Connection": "close"})
        except SpecError as caught:
            data = json.dumps({"error": told(caught)}).encode()
            self.send(HTTPStatus.OK, "application/json", data)

    def send(
        self, status: HTTPStatus, kind: str, data: bytes, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(data))}
        for name, value in (headers | ALWAYS | (more or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are not told: a terminal is for what its reader asked."""
