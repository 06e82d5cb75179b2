from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_message_builder import OscMessageBuilder

from agent.osc.parse import NotOscError, read_message


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


@given(st.binary(max_size=64) | st.binary(max_size=40).map(lambda end: b"/avatar/x\0\0\0" + end))
def test_any_bytes_parse_or_raise_not_osc_error(datagram: bytes) -> None:
    try:
        address, _ = read_message(datagram)
    except NotOscError:
        return
    assert address.startswith("/")
