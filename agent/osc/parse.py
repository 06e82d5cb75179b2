"""Parses one OSC datagram strictly, without trusting it.

python-osc's own parser logs a line for every unknown type tag, hence for any bytes a stranger
sends. VRChat sends only plain messages with one argument.
"""

from __future__ import annotations

import struct


class NotOscError(ValueError):
    """The datagram is not a plain OSC message with at most one argument of a known type."""


def read_message(datagram: bytes) -> tuple[str, float | int | bool | str | None]:
    """Return address and argument (None if there is none); types i, f, h, d, s, T and F.

    Source: https://opensoundcontrol.stanford.edu/spec-1_0.html

    Raises:
        NotOscError: anything else, bundles included.
    """
    address, rest = _string(datagram)
    if not address.startswith("/"):
        raise NotOscError("an address starts with a slash")
    if not rest:
        return address, None
    tags, rest = _string(rest)
    if tags == ",":
        return address, None
    if tags in (",T", ",F"):
        return address, tags == ",T"
    if tags == ",s":
        return address, _string(rest)[0]
    form = {",i": ">i", ",f": ">f", ",h": ">q", ",d": ">d"}.get(tags)
    if form is None:
        raise NotOscError("not one argument of a known type")
    if len(rest) != struct.calcsize(form):
        raise NotOscError("the argument has a wrong length")
    value: float | int = struct.unpack(form, rest)[0]
    return address, value


def _string(data: bytes) -> tuple[str, bytes]:
    """Split off a string, which ends with a zero and is padded to four bytes."""
    end = data.find(b"\0")
    if end < 0:
        raise NotOscError("a string does not end")
    try:
        return data[:end].decode("utf-8"), data[(end // 4 + 1) * 4 :]
    except UnicodeDecodeError as error:
        raise NotOscError("a string is not text") from error
