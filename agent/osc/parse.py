"""Parses one OSC datagram strictly, without trusting it.

python-osc's own parser logs a line for every unknown type tag, hence for any bytes a stranger
sends, and recurses as deep as the sender likes. VRChat sends only messages with one argument;
programs between it and the agent bundle them.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

DEEPEST = 8
"""Bundles within bundles that are unpacked."""
_BUNDLE, _HEAD = b"#bundle\0", 16  # The head is that name and a time tag, which is ignored.

Message = tuple[str, float | int | bool | str | None]
"""An address and its argument."""


class NotOscError(ValueError):
    """The datagram is not a plain OSC message with at most one argument of a known type."""


class Packet(NamedTuple):
    """What a datagram holds."""

    messages: list[Message]
    malformed: int
    """Number of parts that cannot be read."""


def read_packet(datagram: bytes) -> Packet:
    """Return the messages of a datagram in order: one, or those of a bundle and of bundles in it.

    A part that cannot be read is counted, and the others are returned.
    Source: https://opensoundcontrol.stanford.edu/spec-1_0.html
    """
    packet = Packet([], 0)
    waiting = [(datagram, 0)]  # The last one is next.
    while waiting:
        part, depth = waiting.pop()
        try:
            if not part.startswith(_BUNDLE):
                packet.messages.append(read_message(part))
            elif depth >= DEEPEST:
                raise NotOscError("too many bundles within bundles")
            else:
                waiting.extend((element, depth + 1) for element in reversed(_elements(part)))
        except NotOscError:
            packet = packet._replace(malformed=packet.malformed + 1)
    return packet


def _elements(bundle: bytes) -> list[bytes]:
    """Return the elements of a bundle.

    Raises:
        NotOscError: their sizes do not fit the datagram.
    """
    elements, at = [], _HEAD
    while at < len(bundle):
        size = int.from_bytes(bundle[at : at + 4], "big")
        begin, at = at + 4, at + 4 + size
        if size == 0 or size % 4 or at > len(bundle):
            raise NotOscError("an element of a bundle has a wrong size")
        elements.append(bundle[begin:at])
    if at != len(bundle):
        raise NotOscError("a bundle is cut short")
    return elements


def read_message(datagram: bytes) -> Message:
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
