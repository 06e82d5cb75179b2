"""The settings of VRChat as a world, and its construction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal

from agent.capture.base import CaptureError, FrameSource
from agent.capture.choice import FindTakers
from agent.capture.window import attach_window
from agent.osc.action_filter import ActionFilter
from agent.osc.parameters import LISTEN_HOST
from agent.osc.ports import bind_udp, input_takers
from agent.worlds.vrchat.world import COUNTDOWN_S, VRChat
from pamiq_lightning.utils.instantiate import import_name, user_code
from pamiq_lightning.utils.ranges import Port, Range

DEFAULT_PORT = 9000
"""UDP port that VRChat listens on."""
SOURCES = {
    "screen": "agent.capture.screen.Screen",
    "camera": "agent.capture.camera.Camera",
    "video": "agent.capture.video.Video",
}
CAPTURE_MISTAKE = (
    "capture={}: must be screen, camera:NUMBER, video:FILE, or CLASS_PATH:TARGET of your own"
)
Category = Literal["vertical", "horizontal", "look", "jump", "run"]


@dataclass
class VRChatSettings:
    """Settings of VRChat as a world.

    Args:
        title: exact title of VRChat's window.
        capture: the frame source: screen; camera:NUMBER, such as OBS's virtual camera; or
            video:FILE, a recording (a camera needs the extra `camera`); or
            CLASS_PATH:TARGET, a frame source of your own, built with (size, TARGET).
        listen: UDP port of the avatar parameters; oscquery lets VRChat find a free one (extra
            `oscquery`); off.
        disabled_actions: action categories that are never used.
        turn_speed: value sent to LookHorizontal, above 0.5 (VRChat ignores less) and up to 1.
        smoothing_s: time constant of a first-order filter on the axes (s); 0 is none.
        countdown_s: wait before the first input (s).
    """

    title: str = "VRChat"
    capture: str = "screen"
    listen: Port | Literal["oscquery", "off"] = 9001
    disabled_actions: list[Category] = field(default_factory=list)
    turn_speed: Annotated[float, Range(0.5, 1, above=True)] = 1.0
    smoothing_s: Annotated[float, Range(0, 60)] = 0.0
    countdown_s: Annotated[float, Range(0, 3600)] = COUNTDOWN_S


def enter_vrchat(
    settings: VRChatSettings,
    size: int,
    rate_hz: float,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
) -> VRChat:
    """Enter VRChat with frames of size x size, at `rate_hz` ticks a second.

    Raises:
        ValueError: an invalid setting; the message names it.
        CaptureError: no frame can be captured.
        OscQueryError: listening by OSCQuery is not possible here.
        OSError: `host` is unknown, or another program holds the port to listen on.
    """
    action_filter = ActionFilter(
        settings.disabled_actions, settings.turn_speed, settings.smoothing_s
    )
    listen = None if settings.listen == "off" else settings.listen
    find_takers = partial(input_takers, host, port)
    source = open_capture(settings.capture, size, settings.title, find_takers)
    return VRChat(size, host, port, settings.title, source, listen, action_filter, rate_hz)


def open_capture(
    capture: str, size: int, title: str, find_takers: FindTakers = dict
) -> FrameSource:
    """Open the frame source that the settings name.

    Args:
        capture: the setting.
        size: pixels a side of the frames.
        title: of the window, for the screen.
        find_takers: finds the processes that take the inputs, for the screen.

    Raises:
        ValueError: no such frame source.
        CaptureError: it delivers no frame.
    """
    source, target = find_capture(capture)
    with user_code(f"capture={capture}", CaptureError):
        if capture == "screen":
            return source(size, title, find_takers=find_takers)
        return source(size, target)


def find_capture(capture: str) -> tuple[Callable[..., FrameSource], str]:
    """Return the class of the frame source and what stands after the colon.

    Raises:
        ValueError: no such frame source.
    """
    kind, _, target = capture.partition(":")
    known = capture == "screen" or (kind in ("camera", "video") and target)
    if not known and "." not in kind:
        raise ValueError(CAPTURE_MISTAKE.format(capture))
    dotted = SOURCES[kind] if known else kind
    source: Callable[[int, str], FrameSource] = import_name(
        dotted, f"capture={capture}", "frame source"
    )
    return source, target


def check_vrchat(
    settings: VRChatSettings, host: str = "127.0.0.1", port: int = DEFAULT_PORT
) -> None:
    """Fail before anything slow starts if VRChat cannot be entered.

    Raises:
        ValueError: an invalid setting; the message names it.
        CaptureError: VRChat's window cannot be found, or the inputs go to another one's process.
        OSError: another program holds the port to listen on.
    """
    ActionFilter(settings.disabled_actions, settings.turn_speed, settings.smoothing_s)
    find_capture(settings.capture)
    if isinstance(settings.listen, int):
        bind_udp(LISTEN_HOST, settings.listen).close()
    if settings.capture == "screen":
        attach_window(settings.title, partial(input_takers, host, port)).close()
