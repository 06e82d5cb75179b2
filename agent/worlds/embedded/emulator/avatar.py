"""What VRChat tells over OSC about its avatar, told about ours: every change, as it happens.

Source: https://docs.vrchat.com/docs/osc-avatar-parameters
"""

from __future__ import annotations

import math
import socket

from pythonosc.osc_message_builder import OscMessageBuilder

from agent.worlds.embedded.physics import Body

PREFIX = "/avatar/parameters/"
CHANGE = "/avatar/change"
AVATAR = "avtr_00000000-0000-4000-8000-000000000000"
"""The id told at the start; nobody's avatar."""

Value = float | bool | str


def parameters(body: Body) -> dict[str, Value]:
    """Return the built-in avatar parameters of a body.

    Velocities are the avatar's own, metres a second: X to its right, Y up, Z forward. AngularY is
    in radians a second, positive to the right.
    """
    east, north, up = body.velocity
    sine, cosine = math.sin(body.heading), math.cos(body.heading)
    return {
        "VelocityX": east * cosine - north * sine,
        "VelocityY": up,
        "VelocityZ": east * sine + north * cosine,
        "VelocityMagnitude": math.hypot(east, north, up),
        "AngularY": body.angular_velocity,
        "Grounded": body.grounded,
        "Upright": 1.0,
        "Seated": False,
        "AFK": False,
    }


class AvatarSender:
    """Sends the parameters that changed; nobody has to listen.

    Args:
        host: to send to.
        port: to send to.
    """

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._last: dict[str, Value] = {}
        self._send(CHANGE, AVATAR)

    def notify(self, body: Body) -> None:
        """Send what differs from the last time."""
        now = parameters(body)
        for name, value in now.items():
            if self._last.get(name) != value:
                self._send(PREFIX + name, value)
        self._last = now

    def _send(self, address: str, value: Value) -> None:
        builder = OscMessageBuilder(address)
        builder.add_arg(value)
        try:
            self._socket.sendto(builder.build().dgram, self._to)
        except OSError:
            # VRChat does not mind either whether anybody hears it.
            self._last.pop(address.removeprefix(PREFIX), None)

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()
