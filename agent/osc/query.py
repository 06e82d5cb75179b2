"""OSCQuery: finds VRChat's OSC port, and announces ours to VRChat.

VRChat, from release 2023.3.1 on, announces itself by mDNS as `_oscjson._tcp` with a small HTTP
server that describes it, and sends avatar parameters to every program that announces an `/avatar`
node the same way, on whatever port that listens.
Source: https://github.com/vrchat-community/osc/wiki/OSCQuery
"""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.osc.parameters import CHANGE, PARAMETERS, PREFIX
from agent.osc.ports import is_local
from pamiq_lightning.utils.console import print_error
from pamiq_lightning.utils.json_text import json_text

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf

QUERY_TYPE = "_oscjson._tcp.local."
OSC_TYPE = "_osc._udp.local."
_LOCAL = "127.0.0.1"
_WRITE_ONLY = 2  # The node takes values and reports none.
_LARGEST_ANSWER = 1 << 20
_HTTP_TIMEOUT_S = 2.0
_OTHERS_S = 1.0
"""How long other clients may take to answer after the first one (s)."""


class OscQueryError(RuntimeError):
    """OSCQuery cannot be used here; the message says what to do."""


class Found(NamedTuple):
    """A VRChat client that announced itself."""

    name: str
    host: str
    osc_port: int | None
    """None where it does not answer."""
    local: bool
    """Whether it runs on this machine."""


class Advertiser:
    """Announces a listener of this machine, so that VRChat sends it avatar parameters.

    Args:
        osc_port: the UDP port that listens.
        name: shown in VRChat's OSC debug view, with six digits that make it unique, as VRChat's is.

    Attributes:
        name: as announced.
        http_port: where the description is served, on this machine only.

    Raises:
        OscQueryError: zeroconf is missing, or the network allows no mDNS.
    """

    def __init__(self, osc_port: int, name: str = "pamiq-lightning") -> None:
        zeroconf = _zeroconf()
        self.name = f"{name}-{secrets.token_hex(3).upper()}"
        description = _description(self.name, osc_port)
        self._server = ThreadingHTTPServer((_LOCAL, 0), _handler(description))
        self._server.daemon_threads = True
        self.http_port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="oscquery", daemon=True
        )
        self._thread.start()
        self._zeroconf: Zeroconf | None = None
        try:
            self._zeroconf = zeroconf.Zeroconf(interfaces=zeroconf.InterfaceChoice.Default)
            for kind, port in ((QUERY_TYPE, self.http_port), (OSC_TYPE, osc_port)):
                service = _service(kind, self.name, port)
                self._zeroconf.register_service(service, allow_name_change=True)
        except (OSError, zeroconf.Error) as error:
            self.close()
            raise OscQueryError(
                f"mDNS does not work on this network ({error!r}): listen on a fixed port instead."
            ) from error

    def close(self) -> None:
        """Withdraw the announcement and stop the server. May be called twice."""
        if self._zeroconf is not None:
            self._zeroconf.close()
            self._zeroconf = None
        self._server.shutdown()
        self._server.server_close()


def find_clients(timeout_s: float = 3.0) -> list[Found]:
    """Return every VRChat client that announces itself within `timeout_s`, this machine's first.

    Raises:
        OscQueryError: zeroconf is missing, or the network allows no mDNS.
    """
    zeroconf = _zeroconf()
    names: list[str] = []
    found = threading.Event()

    class Listener(zeroconf.ServiceListener):  # type: ignore[misc, name-defined]
        def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            if name.startswith("VRChat-Client"):
                names.append(name)
                found.set()

        def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            return

        def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            return

    try:
        network = zeroconf.Zeroconf(interfaces=zeroconf.InterfaceChoice.Default)
    except OSError as error:
        raise OscQueryError(f"mDNS does not work on this network: {error}") from error
    try:
        zeroconf.ServiceBrowser(network, QUERY_TYPE, Listener())
        if found.wait(timeout_s):
            time.sleep(_OTHERS_S)
        infos = [network.get_service_info(QUERY_TYPE, name) for name in sorted(names)]
    finally:
        network.close()
    clients = [
        _ask(info.name.removesuffix("." + QUERY_TYPE), info.parsed_addresses()[0], info.port)
        for info in infos
        if info is not None and info.port and info.parsed_addresses()
    ]
    return sorted(clients, key=lambda client: (not client.local, client.osc_port is None))


def _ask(name: str, host: str, http_port: int) -> Found:
    try:
        return host_info(name, host, http_port)
    except OscQueryError as error:
        print_error(error)
        return Found(name, host, None, is_local(host))


def host_info(name: str, host: str, http_port: int) -> Found:
    """Ask an OSCQuery server for the address and port on which it takes OSC.

    Raises:
        OscQueryError: it does not answer as OSCQuery specifies.
    """
    # Direct, without a proxy: it is on this machine, or beside it.
    connection = HTTPConnection(host, http_port, timeout=_HTTP_TIMEOUT_S)
    try:
        with closing(connection):
            connection.request("GET", "/?HOST_INFO")
            info = json.loads(connection.getresponse().read(_LARGEST_ANSWER))
        address, port = str(info.get("OSC_IP", host)), int(info["OSC_PORT"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OscQueryError(
            f"{name} at {host}:{http_port} gives no HOST_INFO: {error!r}"
        ) from error
    return Found(name, address, port, is_local(host))


def _zeroconf() -> Any:
    try:
        import zeroconf
    except ImportError as missing:
        raise OscQueryError(
            "OSCQuery needs zeroconf: pip install -e '.[oscquery]', or listen on a fixed port."
        ) from missing
    return zeroconf


def _service(kind: str, name: str, port: int) -> ServiceInfo:
    info: ServiceInfo = _zeroconf().ServiceInfo(
        kind,
        f"{name}.{kind}",
        addresses=[socket.inet_aton(_LOCAL)],
        port=port,
        properties={"txtvers": "1"},
        server=f"{name}.local.",
    )
    return info


def _node(path: str, **more: Any) -> dict[str, Any]:
    return {"FULL_PATH": path, "ACCESS": 0, **more}


def _description(name: str, osc_port: int) -> dict[str, Any]:
    """Return what each path of the HTTP server answers, HOST_INFO under its own name."""
    change = _node(CHANGE, ACCESS=_WRITE_ONLY, TYPE="s")
    parameters = {p: _node(PREFIX + p, ACCESS=_WRITE_ONLY, TYPE="f") for p in PARAMETERS}
    folder = _node(PREFIX.rstrip("/"), CONTENTS=parameters)
    avatar = _node("/avatar", CONTENTS={"change": change, "parameters": folder})
    nodes = [change, folder, avatar, *parameters.values()]
    return {
        **{node["FULL_PATH"]: node for node in nodes},
        "/": _node("/", CONTENTS={"avatar": avatar}),
        "HOST_INFO": {
            "NAME": name,
            "OSC_IP": _LOCAL,
            "OSC_PORT": osc_port,
            "OSC_TRANSPORT": "UDP",
            "EXTENSIONS": {"ACCESS": True, "VALUE": False},
        },
    }


def _handler(answers: dict[str, Any]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            answer = answers.get("HOST_INFO" if query == "HOST_INFO" else path)
            if answer is None:
                self.send_error(404)
                return
            body = json_text(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            return  # VRChat queries repeatedly.

    return Handler
