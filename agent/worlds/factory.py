"""Where the agent lives: settled before anything heavy is imported, entered when it is ready."""

from __future__ import annotations

from collections.abc import Callable

from agent.capture.window import find_window
from agent.errors import UsageError
from agent.osc.ports import bind_udp
from agent.settings.schema import Settings
from agent.worlds.base import World
from agent.worlds.vrchat.settings import check_vrchat, enter_vrchat
from pamiq_lightning.utils.instantiate import SpecError, build, resolve

Notify = Callable[[str], None]


def resolve_world(settings: Settings, notify: Notify) -> None:
    """Decide where to live, say so, and fail at once if that cannot be; nothing heavy is imported.

    Raises:
        UsageError: a setting of the body in VRChat cannot be.
        CaptureError: VRChat is asked for and cannot be seen.
        OSError: another program holds a port.
    """
    if settings.world == "auto":
        window = None
        if settings.clock == "real":
            window = find_window(settings.vrchat.title)
        found = window is not None
        if window is not None:
            window.close()
        settings.world = "vrchat" if found else "embedded"
        notify(
            "World: VRChat (its window was found)."
            if found
            else "World: the embedded one (no VRChat window was found)."
        )
    if settings.world == "vrchat":
        try:
            check_vrchat(settings.vrchat)
        except ValueError as error:
            raise UsageError(f"vrchat.{error}") from error
    elif settings.osc_port is not None:
        bind_udp("127.0.0.1", settings.osc_port).close()


def resolve_scene(settings: Settings) -> None:
    """Fill in the defaults of the embedded world's place.

    Raises:
        UsageError: its settings are wrong.
    """
    if settings.world == "vrchat":
        return
    from agent.worlds.embedded.scenes.base import Scene

    try:
        settings.scene = resolve(Scene, settings.scene, "scene")
    except SpecError as error:
        raise UsageError(str(error)) from error


def build_world(settings: Settings, size: int) -> World:
    """Enter VRChat or an embedded world, as was settled.

    Raises:
        UsageError: the place's settings are wrong.
        RuntimeError: VRChat cannot be entered, or the embedded world cannot start.
    """
    if settings.world == "vrchat":
        return enter_vrchat(
            settings.vrchat, size, settings.rate, settings.osc_host, settings.osc_port or 9000
        )
    from agent.worlds.embedded.make import make_world
    from agent.worlds.embedded.scenes.base import Scene

    resolve_scene(settings)
    try:
        scene = build(Scene, settings.scene, "scene")
    except SpecError as error:
        raise UsageError(str(error)) from error
    return make_world(
        scene,
        size,
        settings.seed,
        settings.clock,
        settings.rate,
        settings.osc_port,
        scale=settings.time_scale,
    )
