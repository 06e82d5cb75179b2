from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from agent.osc import query
from agent.osc.parameters import PARAMETERS
from agent.osc.query import Advertiser, Found, OscQueryError, find_vrchat, host_info


class Network:
    """A network of one: what is announced is what is found."""

    announced: dict[str, dict[str, Any]] = {}  # noqa: RUF012

    def __init__(self, interfaces: object) -> None:
        pass

    def register_service(self, info: dict[str, Any], allow_name_change: bool) -> None:
        self.announced[info["name"]] = info

    def get_service_info(self, kind: str, name: str) -> Any:
        return type(
            "Info", (), {**self.announced[name], "parsed_addresses": lambda _: ["127.0.0.1"]}
        )()

    def close(self) -> None:
        pass


def _service_info(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "name": name, **more}


def _browse(network: Network, kind: str, ears: Any) -> None:
    for name, info in network.announced.items():
        if info["kind"] == kind:
            ears.add_service(network, kind, name)


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> type[Network]:
    zeroconf = ModuleType("zeroconf")
    zeroconf.__dict__.update(
        Zeroconf=Network,
        ServiceInfo=_service_info,
        ServiceBrowser=_browse,
        ServiceListener=object,
        InterfaceChoice=type("InterfaceChoice", (), {"Default": 1}),
        Error=type("Error", (Exception,), {}),
    )
    monkeypatch.setitem(sys.modules, "zeroconf", zeroconf)
    monkeypatch.setattr(Network, "announced", {})
    return Network


@pytest.fixture
def advertiser() -> Iterator[Advertiser]:
    advertiser = Advertiser(osc_port=12345, name="VRChat-Client-TEST")
    yield advertiser
    advertiser.close()


def get(advertiser: Advertiser, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{advertiser.http_port}{path}") as answer:
        return json.load(answer)


def test_both_services_are_announced_on_loopback(
    advertiser: Advertiser, network: type[Network]
) -> None:
    found = {info["kind"]: info for info in network.announced.values()}
    assert found["_oscjson._tcp.local."]["port"] == advertiser.http_port
    assert found["_osc._udp.local."]["port"] == 12345
    assert found["_osc._udp.local."]["addresses"] == [b"\x7f\0\0\1"]


def test_host_info_names_the_osc_port(advertiser: Advertiser) -> None:
    info = get(advertiser, "/?HOST_INFO")
    assert (info["OSC_IP"], info["OSC_PORT"]) == ("127.0.0.1", 12345)


def test_avatar_node_requests_every_parameter(advertiser: Advertiser) -> None:
    avatar = get(advertiser, "/")["CONTENTS"]["avatar"]
    assert set(avatar["CONTENTS"]["parameters"]["CONTENTS"]) == set(PARAMETERS)
    assert get(advertiser, "/avatar/change")["ACCESS"] == 2


def test_unknown_path_is_not_found(advertiser: Advertiser) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404") as failure:
        get(advertiser, "/chatbox")
    failure.value.close()


def test_announced_client_is_found(advertiser: Advertiser) -> None:
    assert find_vrchat() == Found("VRChat-Client-TEST", "127.0.0.1", 12345)


def test_no_client_returns_none() -> None:
    assert find_vrchat(timeout_s=0.0) is None


def test_error_names_a_missing_server() -> None:
    with pytest.raises(OscQueryError, match="gives no HOST_INFO"):
        host_info("VRChat-Client-X", "127.0.0.1", 9)


def test_without_zeroconf_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    for use in (lambda: Advertiser(1), find_vrchat):
        with pytest.raises(OscQueryError, match=r"\[oscquery\]"):
            use()


def test_error_names_a_network_without_mdns(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no multicast")

    monkeypatch.setattr(Network, "register_service", refuse)
    with pytest.raises(OscQueryError, match="fixed port"):
        Advertiser(1)
    assert query.QUERY_TYPE == "_oscjson._tcp.local."
