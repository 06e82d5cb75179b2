from __future__ import annotations

import json
import re
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from types import ModuleType
from typing import Any

import pytest

from agent.osc import query
from agent.osc.parameters import PARAMETERS
from agent.osc.query import Advertiser, Found, OscQueryError, find_clients, host_info


class Network:
    """A network of one: what is announced is what is found."""

    announced: dict[str, dict[str, Any]] = {}  # noqa: RUF012

    def __init__(self, interfaces: object) -> None:
        pass

    def register_service(self, info: dict[str, Any], allow_name_change: bool) -> None:
        self.announced[info["name"]] = info

    def get_service_info(self, kind: str, name: str) -> Any:
        return type(
            "Info",
            (),
            {
                **self.announced[name],
                "parsed_addresses": lambda info: [socket.inet_ntoa(a) for a in info.addresses],
            },
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


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    # This network answers at once, and its addresses are not reached.
    monkeypatch.setattr(query, "_OTHERS_S", 0.0)
    monkeypatch.setattr(query, "_HTTP_TIMEOUT_S", 0.2)


@pytest.fixture
def advertiser() -> Iterator[Advertiser]:
    advertiser = Advertiser(osc_port=12345, name="VRChat-Client-TEST")
    yield advertiser
    advertiser.close()


def get(advertiser: Advertiser, path: str) -> Any:
    # Without a proxy that this machine's environment may name.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"http://127.0.0.1:{advertiser.http_port}{path}") as answer:
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
    assert find_clients() == [Found(advertiser.name, "127.0.0.1", 12345, local=True)]
    assert re.fullmatch(r"VRChat-Client-TEST-[0-9A-F]{6}", advertiser.name)


def test_loopback_is_asked_without_a_proxy(
    advertiser: Advertiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert host_info("VRChat-Client-TEST", "127.0.0.1", advertiser.http_port).osc_port == 12345


def test_all_clients_are_found_this_machine_s_first(
    advertiser: Advertiser, network: type[Network]
) -> None:
    kind = query.QUERY_TYPE
    for name, address, port in (("A", "192.0.2.1", 9), ("Z", "127.0.0.1", 9)):
        service = f"VRChat-Client-{name}.{kind}"
        info = _service_info(kind, service, port=port, addresses=[socket.inet_aton(address)])
        network.announced[service] = info
    with closing(Advertiser(osc_port=9100, name="VRChat-Client-B")):
        found = find_clients()
    assert [(client.name.split("-")[2], client.osc_port, client.local) for client in found] == [
        ("B", 9100, True),
        ("TEST", 12345, True),
        ("Z", None, True),
        ("A", None, False),
    ]


def test_no_client_is_an_empty_list() -> None:
    assert find_clients(timeout_s=0.0) == []


def test_error_names_a_missing_server() -> None:
    with pytest.raises(OscQueryError, match="gives no HOST_INFO"):
        host_info("VRChat-Client-X", "127.0.0.1", 9)


def test_without_zeroconf_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    for use in (lambda: Advertiser(1), find_clients):
        with pytest.raises(OscQueryError, match=r"\[oscquery\]"):
            use()


def test_error_names_a_network_without_mdns(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no multicast")

    monkeypatch.setattr(Network, "register_service", refuse)
    with pytest.raises(OscQueryError, match="fixed port"):
        Advertiser(1)
    assert query.QUERY_TYPE == "_oscjson._tcp.local."
