"""Which world a run acts in: resolved before heavy imports, built when everything else is ready."""

from __future__ import annotations

from collections.abc import Callable

from agent.capture.window import find_window
from agent.errors import UsageError
from agent.osc.ports import bind_udp
from agent.settings.schema import Settings
from agent.worlds.base import World
from agent.worlds.vrchat.settings import DEFAULT_PORT, check_vrchat, enter_vrchat
from pamiq_lightning.utils.instantiate import instantiate, resolve

Notify = Callable[[str], None]


def resolve_world(settings: Settings, notify: Notify) -> None:
    """Resolve `world=auto`, report the choice, and fail early; imports nothing heavy.

    Raises:
        UsageError: a wrong setting of VRChat.
        CaptureError: VRChat is requested and cannot be captured.
        OSError: another program holds a port.
    """
    if settings.world == "auto":
        window = find_window(settings.vrchat.title) if settings.clock == "real" else None
        if window is not None:
            window.close()
            settings.world = "vrchat"
            notify("World: VRChat (its window was found).")
        else:
            settings.world = "embedded"
            notify("World: the embedded one (no VRChat window was found).")
    if settings.world == "vrchat":
        try:
            check_vrchat(settings.vrchat, settings.osc_host, settings.osc_port or DEFAULT_PORT)
        except ValueError as error:
            raise UsageError(f"vrchat.{error}") from error
    elif settings.osc_port is not None:
        bind_udp("127.0.0.1", settings.osc_port).close()


def resolve_scene(settings: Settings) -> None:
    """Fill in the default settings of the embedded world's scene.

    Raises:
        UsageError: wrong settings of the scene.
    """
    if settings.world == "vrchat":
        return
    from agent.worlds.embedded.scenes.base import Scene

    settings.scene = resolve(Scene, settings.scene, "scene")


def build_world(settings: Settings, size: int) -> World:
    """Connect to VRChat or build an embedded world, for square frames of `size` pixels.

    Raises:
        UsageError: wrong settings of the scene or of VRChat.
        RuntimeError: VRChat cannot be reached, or the embedded world does not start.
    """
    if settings.world == "vrchat":
        address = (settings.osc_host, settings.osc_port or DEFAULT_PORT)
        try:
            return enter_vrchat(settings.vrchat, size, settings.rate, *address)
        except ValueError as error:
            raise UsageError(f"vrchat.{error}") from error
    from agent.worlds.embedded.lockstep import LockstepWorld
    from agent.worlds.embedded.realtime import RealtimeWorld
    from agent.worlds.embedded.scenes.base import Scene

    resolve_scene(settings)
    scene = instantiate(Scene, settings.scene, "scene")
    if settings.clock == "lockstep":
        return LockstepWorld(scene, size, settings.seed, settings.rate)
    return RealtimeWorld(scene, size, settings.seed, settings.osc_port, scale=settings.time_scale)
