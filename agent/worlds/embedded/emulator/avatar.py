"""The avatar parameters that VRChat sends over OSC, from the state of the body.

Source: https://docs.vrchat.com/docs/osc-avatar-parameters
"""

from __future__ import annotations

import math
import socket

from pythonosc.osc_message_builder import OscMessageBuilder

from agent.osc.parameters import CHANGE, PREFIX
from agent.worlds.embedded.physics import Body

AVATAR_ID = "avtr_00000000-0000-4000-8000-000000000000"

Value = float | bool | str


def avatar_parameters(body: Body) -> dict[str, Value]:
    """Return the built-in avatar parameters of a body.

    Velocities are in the avatar's frame, m/s: X right, Y up, Z forward. AngularY is in rad/s,
    positive to the right.
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
    """Sends avatar parameters over UDP whenever they change.

    Args:
        host: to send to.
        port: to send to.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._sent: dict[str, Value] = {}
        self._send(CHANGE, AVATAR_ID)

    def send_changes(self, body: Body) -> None:
        """Send the parameters that differ from the last call."""
        current = avatar_parameters(body)
        changed = [name for name, value in current.items() if self._sent.get(name) != value]
        self._sent = current
        for name in changed:
            self._send(PREFIX + name, current[name])

    def _send(self, address: str, value: Value) -> None:
        builder = OscMessageBuilder(address)
        builder.add_arg(value)
        try:
            self._socket.sendto(builder.build().dgram, self._target)
        except OSError:
            # Nobody has to listen. Forgotten, so that it is sent again with the next step.
            self._sent.pop(address.removeprefix(PREFIX), None)

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()
