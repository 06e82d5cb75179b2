from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from agent.osc.ports import bind_tcp
from agent.run_dir import LIVE_PREVIEW, METRICS
from agent.ui.page import PAGE, POLICY
from agent.ui.server import LARGEST_BODY, Api
from agent.ui.views import Views
from pamiq_lightning.exchange.rollouts import RolloutsSpec, RolloutWriter
from tests.agent.lifecycle.run_fixture import FakeRun
from tests.conftest import VirtualClock
from tests.synthetic import SHAPE, arrays

READS = ("/status", "/frame.jpg", "/preview.png", "/metrics?from=0")


class Client:
    """Sends requests to an API, with the right token by default."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.connection = HTTPConnection("127.0.0.1", api.address.port, timeout=30)

    def ask(self, method: str, path: str, **headers: str) -> tuple[HTTPResponse, bytes]:
        sent = {"Authorization": f"Bearer {self.api.address.token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, headers=sent)
        response = self.connection.getresponse()
        return response, response.read()

    def get(self, path: str) -> Any:
        response, body = self.ask("GET", path)
        assert response.status == 200, body
        return json.loads(body)

    def post(self, path: str) -> tuple[int, dict[str, Any]]:
        response, body = self.ask("POST", path)
        return response.status, json.loads(body)


@pytest.fixture
def run(tmp_path: Path, clock: VirtualClock) -> FakeRun:
    run = FakeRun(tmp_path, clock)
    run.begin()
    return run


@pytest.fixture
def writer(tmp_path: Path) -> RolloutWriter:
    return RolloutWriter(RolloutsSpec(tmp_path / "rollouts", SHAPE, 4))


@pytest.fixture
def client(tmp_path: Path, run: FakeRun, writer: RolloutWriter) -> Iterator[Client]:
    views = Views(tmp_path, writer, SHAPE.info_names)
    api = Api(bind_tcp("127.0.0.1", 0), run.commands, views)
    client = Client(api)
    yield client
    client.connection.close()
    api.close()
    api.close()


def test_command_is_answered_with_its_result(client: Client, run: FakeRun) -> None:
    code, answer = client.post("/pause")
    assert code == 200 and answer["done"] == "Paused: every input is neutral."
    assert (answer["state"], answer["pause_reasons"]) == ("paused", ["person"])
    assert run.pauses.paused
    assert client.get("/status")["state"] == "paused"
    assert client.post("/resume") == (
        200,
        {"done": "Resumed.", "state": "running", "pause_reasons": []},
    )
    assert "Saved" in client.post("/save")[1]["done"]
    response, _ = client.ask("POST", "/stop", X_From="ctl")
    assert response.status == 200 and run.stop.reason == "ctl"
    assert client.get("/status")["state"] == "stopping"


def test_failed_command_is_an_error_with_its_reason(client: Client, run: FakeRun) -> None:
    run.trainer.saves = False
    code, answer = client.post("/save")
    assert code == 503 and "nothing was saved" in answer["error"]
    run.trainer.saves = None
    code, answer = client.post("/save")
    assert code == 504 and "not saved yet" in answer["error"]
    run.loop_pauses = False
    code, answer = client.post("/pause")
    assert code == 504 and "not paused yet" in answer["error"]


def test_status_has_the_summary_and_the_newest_row(
    client: Client, run: FakeRun, writer: RolloutWriter
) -> None:
    assert client.get("/status")["row"] is None
    writer.write({key: values[0] for key, values in arrays(1).items()})
    status = client.get("/status")
    summary = json.loads(json.dumps(run.commands.summary()))
    assert {key: status[key] for key in summary} == summary
    assert status["row"]["index"] == 0 and set(status["row"]["info"]) == {"x"}


def test_pictures_and_metrics_are_served(
    client: Client, writer: RolloutWriter, tmp_path: Path
) -> None:
    assert client.ask("GET", "/frame.jpg")[0].status == 204
    assert client.ask("GET", "/preview.png")[0].status == 204
    writer.write({key: values[0] for key, values in arrays(1).items()})
    response, picture = client.ask("GET", "/frame.jpg?after=-1")
    assert response.getheader("Content-Type") == "image/jpeg" and picture[:2] == b"\xff\xd8"
    assert response.getheader("X-Tick") == "0"
    # Nothing newer.
    assert client.ask("GET", "/frame.jpg?after=0")[0].status == 204
    (tmp_path / LIVE_PREVIEW).write_bytes(b"png")
    assert client.ask("GET", "/preview.png")[1] == b"png"
    (tmp_path / METRICS).write_text('{"loss": 1}\n{"lo')
    response, lines = client.ask("GET", "/metrics?from=0")
    assert (lines, response.getheader("X-Next")) == (b'{"loss": 1}\n', "12")


@pytest.mark.parametrize("token", ["", "Bearer ", "Bearer wrong", "Basic x", "Bearer \xff"])
def test_request_without_the_token_is_refused(client: Client, run: FakeRun, token: str) -> None:
    for method, path in [("GET", path) for path in READS] + [
        ("POST", f"/{verb}") for verb in ("pause", "resume", "save", "stop", "else")
    ]:
        response, body = client.ask(method, path, Authorization=token)
        assert response.status == 401
        assert set(json.loads(body)) == {"error"}
    assert not run.pauses.requested and not run.stop() and run.board.save_requested == 0


@pytest.mark.parametrize(
    "host",
    [
        *("example.org", "example.org:{}", "localhost.:80", "", "localhost:1@example.org"),
        *("127.0.0.1.example.org:{}", "localhost.example.org", "localhost:80:80", "localhost:"),
    ],
)
def test_another_host_name_is_refused_even_with_the_token(client: Client, host: str) -> None:
    host = host.format(client.api.address.port)
    for path in ("/", "/status"):
        assert client.ask("GET", path, Host=host)[0].status == 403
    assert client.ask("POST", "/stop", Host=host)[0].status == 403


@pytest.mark.parametrize("host", ["localhost:{}", "localhost:9999", "127.0.0.1:1", "localhost"])
def test_loopback_names_are_accepted_with_any_port(client: Client, host: str) -> None:
    host = host.format(client.api.address.port)
    assert client.ask("GET", "/status", Host=host)[0].status == 200


@pytest.mark.parametrize(
    "method, path, code",
    [
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/api.json", 404),
        ("GET", "//etc/passwd", 404),
        ("GET", "/%2e%2e/settings.yaml", 404),
        ("GET", "/pause", 404),
        ("POST", "/status", 404),
        ("POST", "/", 404),
        ("GET", "/metrics", 400),
        ("GET", "/metrics?from=x", 400),
        ("GET", "/frame.jpg?after=1.5", 400),
    ],
)
def test_bad_request_is_an_error(client: Client, method: str, path: str, code: int) -> None:
    response, body = client.ask(method, path)
    assert response.status == code
    assert json.loads(body)["error"]


def test_body_is_skipped_and_a_large_one_refused(client: Client) -> None:
    token = {"Authorization": f"Bearer {client.api.address.token}"}
    client.connection.request("POST", "/resume", b"x" * 100, token)
    assert client.connection.getresponse().read()
    # The same connection still works.
    assert client.get("/status")["state"] == "running"
    client.connection.request("POST", "/resume", b"x" * (LARGEST_BODY + 1), token)
    response = client.connection.getresponse()
    assert response.status == 413 and response.getheader("Connection") == "close"
    response.read()


def test_server_listens_on_this_machine_alone_and_frees_its_port(client: Client) -> None:
    port = client.api.address.port
    assert client.api._server.socket.getsockname() == ("127.0.0.1", port)
    client.api.close()
    with socket.socket() as late:
        assert late.connect_ex(("127.0.0.1", port)) != 0


def test_failure_in_a_request_is_a_message_and_the_server_continues(
    client: Client, run: FakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("broken view")

    with monkeypatch.context() as patch:
        patch.setattr(client.api._server.views, "row", broken)
        client.connection.request(
            "GET", "/status", headers={"Authorization": f"Bearer {client.api.address.token}"}
        )
        with pytest.raises(ConnectionError):
            client.connection.getresponse()
    client.connection.close()
    assert client.get("/status")["messages"][-1]["text"] == (
        "a request failed: RuntimeError: broken view"
    )


def test_page_needs_no_token_and_loads_nothing_from_elsewhere(client: Client) -> None:
    response, body = client.ask("GET", "/", Authorization="")
    assert response.status == 200 and body == PAGE
    assert response.getheader("Content-Security-Policy") == POLICY
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert client.api.address.token.encode() not in body
    assert "default-src 'none'" in POLICY and "unsafe" not in POLICY
    text = body.decode()
    # No address at all, neither linked nor loaded; SVG's is only the name of its namespace.
    named = set(re.findall(r"\w+://[^\s\"'`]+", text))
    assert named == {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"(?:src|href)=\"(?!data:,)", text)
    assert not re.findall(r"\son\w+=|\sstyle=", text), "the policy forbids both"


def test_policy_allows_exactly_the_page_s_own_code() -> None:
    text = PAGE.decode()
    for tag in ("script", "style"):
        (part,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in POLICY
