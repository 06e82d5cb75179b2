"""The run's API: HTTP and JSON for this machine alone; `docs/controls.md` describes it.

Whoever may read the run's folder has the token, and every request needs it. The page itself holds
no secret: it takes the token from the fragment of its address.
"""

from __future__ import annotations

import hmac
import re
import secrets
import socket
import sys
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from agent.run_dir import ADDRESS, Address
from agent.ui.commands import VERBS, CommandFailed, Commands, NotDoneInTimeError
from agent.ui.page import PAGE, POLICY
from agent.ui.views import Views
from pamiq_lightning.utils.json_text import json_text

HOST = "127.0.0.1"
LARGEST_BODY = 4096
IDLE_S = 60.0
"""How long a connection may be silent before its thread ends."""
POLL_S = 0.2
"""How long the server takes at most to end."""
PLAIN, JSON = "text/plain; charset=utf-8", "application/json"


class RefusedError(Exception):
    """The request is answered with an error."""

    def __init__(self, code: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.code = code


class Api:
    """Serves one run.

    Args:
        listening: a socket that listens on 127.0.0.1; closed with this.
        commands: of the run.
        views: of the run.

    Attributes:
        address: where it answers.
    """

    def __init__(self, listening: socket.socket, commands: Commands, views: Views) -> None:
        port = listening.getsockname()[1]
        self.address = Address(HOST, port, secrets.token_urlsafe(32))
        self._server = _Server(listening, commands, views, self.address)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_S,), name="api", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering. May be called twice."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self, listening: socket.socket, commands: Commands, views: Views, address: Address
    ) -> None:
        super().__init__((HOST, address.port), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.commands, self.views = commands, views
        self.token = f"Bearer {address.token}".encode()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report a failure as a message; a client that went away is not one."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.commands.notify(f"a request failed: {type(error).__name__}: {error}")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    # Buffered and sent at once: two small packets would wait for each other.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._respond(self._read)

    def do_POST(self) -> None:
        self._respond(self._act)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the terminal shows the status block."""

    def _respond(self, answer: Any) -> None:
        try:
            if not _is_loopback(self.headers.get("Host", "")):
                raise RefusedError(HTTPStatus.FORBIDDEN, "this host name is not this machine's")
            self._skip_body()
            answer()
        except RefusedError as error:
            self._send_json({"error": str(error)}, error.code)

    def _read(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/":
            self._send(PAGE, "text/html; charset=utf-8", {"Content-Security-Policy": POLICY})
            return
        self._check_token()
        views = self.server.views
        if url.path == "/status":
            self._send_json(self.server.commands.status() | {"row": views.row()})
        elif url.path == "/frame.jpg":
            self._send_frame(url.query)
        elif url.path == "/preview.png":
            self._send_picture(views.preview(), "image/png", {})
        elif url.path == "/metrics":
            lines, after = views.metrics(_whole_number(url.query, "from"))
            self._send(lines, PLAIN, {"X-Next": str(after)})
        else:
            self._refuse_path()

    def _act(self) -> None:
        self._check_token()
        verb = urlsplit(self.path).path[1:]
        if verb not in VERBS:
            self._refuse_path()
        commands = self.server.commands
        try:
            result = commands.do(verb, self.headers.get("X-From", "the API")[:40])
        except NotDoneInTimeError as error:
            raise RefusedError(HTTPStatus.GATEWAY_TIMEOUT, str(error)) from error
        except CommandFailed as error:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
        reasons = list(commands.pauses.reasons)
        self._send_json({"done": result, "state": commands.state, "pause_reasons": reasons})

    def _refuse_path(self) -> None:
        known = "GET /status /frame.jpg /preview.png /metrics; POST /" + " /".join(VERBS)
        raise RefusedError(HTTPStatus.NOT_FOUND, f"there is only: {known}")

    def _check_token(self) -> None:
        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, self.server.token):
            raise RefusedError(
                HTTPStatus.UNAUTHORIZED, f"the token of the run's {ADDRESS} is needed"
            )

    def _skip_body(self) -> None:
        """Read the body and ignore it, so that the connection's next request starts after it."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "a body needs its Content-Length")
        if int(length) > LARGEST_BODY:
            self.close_connection = True
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "no body is needed")
        self.rfile.read(int(length))

    def _send_frame(self, query: str) -> None:
        known, found = _whole_number(query, "after", -1), self.server.views.frame()
        if found is None or found[0] == known:
            self._send_picture(None, "image/jpeg", {})
        else:
            self._send_picture(found[1], "image/jpeg", {"X-Tick": str(found[0])})

    def _send_picture(self, picture: bytes | None, kind: str, headers: Mapping[str, str]) -> None:
        """Send a picture, or 204 if there is no newer one."""
        self._send(picture or b"", kind, headers, HTTPStatus.OK if picture else HTTPStatus(204))

    def _send_json(self, content: Mapping[str, Any], code: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(json_text(content).encode(), JSON, {}, code)

    def _send(
        self, body: bytes, kind: str, headers: Mapping[str, str], code: HTTPStatus = HTTPStatus.OK
    ) -> None:
        self.send_response(code)
        safe = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        if code != HTTPStatus.NO_CONTENT:
            safe |= {"Content-Type": kind, "Content-Length": str(len(body))}
        if self.close_connection:
            safe["Connection"] = "close"
        for name, value in {**safe, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _is_loopback(host: str) -> bool:
    """Return whether a Host header names this machine, with any port: ssh forwards another one.

    Any other name is a web site whose name was pointed at this machine.
    """
    return re.fullmatch(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", host) is not None


def _whole_number(query: str, name: str, otherwise: int | None = None) -> int:
    """Return a whole number of a query.

    Raises:
        RefusedError: it is none.
    """
    value = parse_qs(query).get(name, [None])[0]
    if value is None and otherwise is not None:
        return otherwise
    try:
        return int(value or "")
    except ValueError as error:
        raise RefusedError(
            HTTPStatus.BAD_REQUEST, f"{name}={value}: must be a whole number"
        ) from error
