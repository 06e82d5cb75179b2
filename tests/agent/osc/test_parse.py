from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_message_builder import OscMessageBuilder

from agent.osc.parse import DEEPEST, NotOscError, Packet, read_message, read_packet


def build(address: str, value: object, kind: str) -> bytes:
    builder = OscMessageBuilder(address)
    builder.add_arg(value, kind)
    dgram: bytes = builder.build().dgram
    return dgram


@pytest.mark.parametrize(
    ("value", "kind"),
    [(0.5, "f"), (7, "i"), (True, "T"), (False, "F"), (2.25, "d"), (2**40, "h"), ("avtr_1", "s")],
)
def test_messages_of_python_osc_are_parsed(value: object, kind: str) -> None:
    assert read_message(build("/avatar/x", value, kind)) == ("/avatar/x", value)


def test_message_without_argument() -> None:
    assert read_message(OscMessageBuilder("/ping").build().dgram) == ("/ping", None)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"/never ends",
        b"no slash\0\0\0\0,i\0\0\0\0\0\1",
        b"#bundle\0" + bytes(12),
        b"/a\0\0,f\0\0\0\0",
        b"/a\0\0,ii\0\0\0\0\1\0\0\0\1",
        b"/a\0\0,b\0\0\xff\xff\xff\xff",
        b"/\xff\xfe\0,i\0\0\0\0\0\1",
    ],
)
def test_other_datagrams_are_refused(datagram: bytes) -> None:
    with pytest.raises(NotOscError):
        read_message(datagram)


def bundle(*elements: bytes) -> bytes:
    sized = (len(element).to_bytes(4, "big") + element for element in elements)
    return b"#bundle\0" + bytes(7) + b"\1" + b"".join(sized)


A, B = build("/avatar/a", 0.5, "f"), build("/avatar/b", True, "T")


def test_bundle_is_unpacked_with_the_bundles_in_it() -> None:
    datagram = bundle(A, bundle(B, bundle()), A)
    assert read_packet(datagram) == (
        [("/avatar/a", 0.5), ("/avatar/b", True), ("/avatar/a", 0.5)],
        0,
    )
    assert read_packet(A) == ([("/avatar/a", 0.5)], 0)


def test_malformed_part_of_a_bundle_spoils_no_other() -> None:
    assert read_packet(bundle(A, b"junk", bundle(B, b"/a\0\0"))) == Packet(
        [("/avatar/a", 0.5), ("/avatar/b", True), ("/a", None)], 1
    )


@pytest.mark.parametrize(
    "datagram",
    [bundle(A)[:-4], bundle(A) + b"\0\0", bundle(b""), b"#bundle\0", bundle(A)[:18], bundle(b"/")],
)
def test_bundle_of_wrong_sizes_is_malformed(datagram: bytes) -> None:
    assert read_packet(datagram) == ([], 1)


def test_bundles_within_bundles_are_read_to_a_bounded_depth() -> None:
    nested = A
    for _ in range(DEEPEST):
        nested = bundle(nested)
    assert read_packet(nested) == ([("/avatar/a", 0.5)], 0)
    for _ in range(1000):
        nested = bundle(nested)
    assert read_packet(nested) == ([], 1)


@given(st.binary(max_size=64) | st.binary(max_size=40).map(lambda end: b"/avatar/x\0\0\0" + end))
def test_any_bytes_parse_or_are_malformed(datagram: bytes) -> None:
    for given_bytes in (datagram, bundle(datagram), b"#bundle\0" + datagram):
        messages, malformed = read_packet(given_bytes)
        assert all(address.startswith("/") for address, _ in messages)
        assert messages or malformed or given_bytes.startswith(b"#bundle\0")
