"""A stand-in for the VRChat client: an embedded world in an X11 window, with OSC in and out.

`python -m tools.fake_vrchat` shows a street in a window titled VRChat, listens on UDP 9000, and
sends avatar parameters to 9001, so that everything around the real client can be tried without it
(under Xvfb, too). Lines on standard input inject faults:

    freeze | black | white | fps 2    what is drawn; `fps 30` is normal again
    resize 640 360 | move 50 20       the window
    close | open                      take it away and bring it back
"""

from __future__ import annotations

import argparse
import math
import sys
import threading
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pythonosc.udp_client import SimpleUDPClient
from Xlib import X
from Xlib.display import Display

from agent.osc.server import OscReceiver
from agent.worlds.embedded.fixed_timestep import TIMESTEP
from agent.worlds.embedded.scenes.street import Street
from agent.worlds.embedded.simulation import INFO_NAMES, Simulation

_ROWS_AT_ONCE = 65536  # Bytes; the X protocol takes no picture above 256 KiB at once.


class XWindow:
    """A window whose pixels are set from arrays."""

    def __init__(self, title: str, width: int, height: int, left: int, top: int) -> None:
        self._display = Display()
        screen = self._display.screen()
        self._depth = screen.root_depth
        self._window = screen.root.create_window(left, top, width, height, 0, self._depth)
        self._window.change_property(
            self._display.intern_atom("_NET_WM_NAME"),
            self._display.intern_atom("UTF8_STRING"),
            8,
            title.encode(),
        )
        self._pen = self._window.create_gc()
        self._window.map()
        self.width, self.height = width, height
        self._display.sync()

    def draw(self, frame: NDArray[np.uint8]) -> None:
        """Show a frame (3, H, W), enlarged to cover the window, its middle in the middle."""
        side = max(self.width, self.height)
        index = (np.arange(side) * frame.shape[1]) // side
        top, left = (side - self.height) // 2, (side - self.width) // 2
        rows, columns = index[top : top + self.height], index[left : left + self.width]
        pixels = np.zeros((self.height, self.width, 4), np.uint8)
        pixels[..., :3] = frame[::-1, rows][:, :, columns].transpose(1, 2, 0)
        step = max(1, _ROWS_AT_ONCE // (4 * self.width))
        for row in range(0, self.height, step):
            part = pixels[row : row + step]
            self._window.put_image(
                self._pen, 0, row, self.width, len(part), X.ZPixmap, self._depth, 0, part.tobytes()
            )
        self._display.sync()

    def place(self, **where: int) -> None:
        """Move or resize: x, y, width, height."""
        self._window.configure(**where)
        self.width = where.get("width", self.width)
        self.height = where.get("height", self.height)
        self._display.sync()

    def close(self) -> None:
        """Take the window away."""
        self._window.destroy()
        self._display.sync()
        self._display.close()


class Client:
    """The world, its window, its two OSC ports, and the faults it is told to have."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.simulation = Simulation(Street(), options.frame, options.seed)
        self.simulation.frame()  # Compiles.
        self._lock = threading.Lock()
        self._commands: list[str] = []
        self._receiver = OscReceiver(options.port, self._take)
        self._out = SimpleUDPClient("127.0.0.1", options.send)
        self._sent: dict[str, float] = {}
        self._picture = "live"
        self._draw_every = TIMESTEP
        self._window: XWindow | None = self._open()

    def _open(self) -> XWindow:
        width, height = self._options.size
        return XWindow(self._options.title, width, height, 40, 30)

    def _take(self, address: str, value: object) -> None:
        with self._lock:
            self.simulation.set_input(address, value)
        if self._options.log:
            print(f"osc {time.monotonic():.6f} {address} {value}", flush=True)

    def read_commands(self) -> None:
        """Read standard input until its end."""
        for line in sys.stdin:
            self._commands.append(line.strip())

    def run(self, seconds: float) -> None:
        """Step, draw and tell at 30 Hz; missed time is dropped."""
        begin = now = time.monotonic()
        draw_at = now
        while now - begin < seconds:
            while self._commands:
                self._obey(self._commands.pop(0))
            with self._lock:
                self.simulation.step()
            if now >= draw_at and self._picture != "frozen":
                draw_at = max(draw_at + self._draw_every, now)
                self._show()
            self._notify()
            time.sleep(max(0.0, TIMESTEP - (time.monotonic() - now)))
            now = time.monotonic()

    def close(self) -> None:
        """Stop listening and take the window away."""
        self._receiver.close()
        if self._window is not None:
            self._window.close()

    def _show(self) -> None:
        frame = self.simulation.frame()
        if self._window is None:
            return
        if self._picture != "live":
            frame = np.full_like(frame, 0 if self._picture == "black" else 255)
        self._window.draw(frame)

    def _notify(self) -> None:
        info = dict(zip(INFO_NAMES, self.simulation.info().tolist(), strict=True))
        x, y, z = (info[f"velocity_{axis}"] for axis in "xyz")
        parameters = {
            "VelocityMagnitude": round(math.sqrt(x * x + y * y + z * z), 3),
            "AngularY": round(info["angular_velocity"], 3),
            "Grounded": bool(info["grounded"]),
        }
        for name, value in parameters.items():
            if self._sent.get(name) != value:
                self._sent[name] = value
                self._out.send_message(f"/avatar/parameters/{name}", value)

    def _obey(self, command: str) -> None:
        word, *numbers = command.split()
        if word == "fps":
            self._picture, self._draw_every = "live", 1 / float(numbers[0])
        elif word in ("freeze", "black", "white"):
            self._picture = {"freeze": "frozen"}.get(word, word)
        elif word == "close" and self._window is not None:
            self._window.close()
            self._window = None
        elif word == "open" and self._window is None:
            self._window = self._open()
        elif word == "resize" and self._window is not None:
            self._window.place(width=int(numbers[0]), height=int(numbers[1]))
        elif word == "move" and self._window is not None:
            self._window.place(x=int(numbers[0]), y=int(numbers[1]))
        print(f"done {time.monotonic():.6f} {command}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until the time is over or Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=9000, help="UDP port to listen on")
    parser.add_argument("--send", type=int, default=9001, help="UDP port for avatar parameters")
    parser.add_argument("--title", default="VRChat")
    parser.add_argument("--size", type=int, nargs=2, default=(480, 360), help="width and height")
    parser.add_argument("--frame", type=int, default=144, help="pixels a side that are drawn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--log", action="store_true", help="print every OSC message that comes")
    options = parser.parse_args(arguments)
    client = Client(options)
    threading.Thread(target=client.read_commands, daemon=True).start()
    print("ready", flush=True)
    try:
        client.run(options.seconds)
    except KeyboardInterrupt:
        print("stopped")
    finally:
        client.close()


if __name__ == "__main__":
    main()
