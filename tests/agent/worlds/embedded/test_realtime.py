from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pythonosc.udp_client import SimpleUDPClient

from agent.worlds.embedded.lockstep import LockstepWorld
from agent.worlds.embedded.realtime import RealtimeWorld
from agent.worlds.embedded.scenes.base import BuiltScene
from agent.worlds.embedded.scenes.food_room import FoodRoom
from pamiq_lightning.utils.usage_error import UsageError
from tests.conftest import wait_until

SCENE = FoodRoom(pool=2)
TURN_PER_STEP = math.radians(120.0) / 30.0


def value(world: RealtimeWorld, name: str) -> float:
    return float(world.observe()[1][world.info_names.index(name)])


@pytest.fixture
def world() -> Iterator[RealtimeWorld]:
    world = RealtimeWorld(SCENE, 32, 0)
    yield world
    world.close()


def test_body_walks_on_an_action_and_stops_on_release(world: RealtimeWorld) -> None:
    start = value(world, "y")
    world.act(np.array([1, 0, 0, 0, 1]))
    wait_until(lambda: value(world, "y") > start + 0.5)
    world.release_inputs()
    wait_until(lambda: value(world, "velocity_y") == 0.0)
    assert world.shared_frame.ignored == 0


def test_any_osc_sender_is_obeyed_and_unknown_messages_are_counted(world: RealtimeWorld) -> None:
    with SimpleUDPClient("127.0.0.1", world.port) as client:
        client.send_message("/nonsense", 1)
        client.send_message("/input/LookHorizontal", 1)
    wait_until(lambda: value(world, "angular_velocity") > 0.0)
    assert world.shared_frame.ignored == 1


def test_time_passes_between_frames(world: RealtimeWorld) -> None:
    frame, info = world.observe()
    assert frame.shape == (3, 32, 32) and frame.dtype == np.uint8
    wait_until(lambda: value(world, "step") > info[world.info_names.index("step")] + 3)
    assert world.port != 9000


def test_realtime_renders_the_same_frames_as_lockstep(world: RealtimeWorld) -> None:
    lockstep = LockstepWorld(SCENE, 32, 0, 30)
    names = world.info_names
    moved_at = None
    # One input: between two messages there may be a step.
    turn = np.array([0, 0, 1, 0, 0])
    world.act(turn)
    frames = {}
    while len(frames) < 20:
        frame, info = world.observe()
        frames[int(info[names.index("step")])] = frame, info
        if moved_at is None and info[names.index("angular_velocity")] > 0.0:
            # The first step with the input; a body that starts to turn is fast at once.
            moved_at = round(float(info[names.index("heading")] / TURN_PER_STEP))
            moved_at = int(info[names.index("step")]) - moved_at + 1
            frames.clear()
    last = max(frames)
    for step in range(last + 1):
        if step == moved_at:
            lockstep.act(turn)
        frame, info = lockstep.observe()
        if step in frames:
            assert (frame == frames[step][0]).all()
            assert (info == frames[step][1]).all()


def test_dead_process_is_an_error(world: RealtimeWorld) -> None:
    world.process.kill()
    world.process.wait()
    with pytest.raises(RuntimeError, match="has ended: exit code"):
        world.observe()


def test_taken_port_is_named_in_the_error(world: RealtimeWorld) -> None:
    with pytest.raises(RuntimeError, match=f"UDP port {world.port} is taken"):
        RealtimeWorld(SCENE, 32, 0, osc_port=world.port)


@pytest.mark.parametrize("world", [LockstepWorld, RealtimeWorld])
def test_a_scene_whose_build_fails_is_one_line(
    world: type[LockstepWorld] | type[RealtimeWorld], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((UsageError, RuntimeError), match=r"Broken .* KeyError: 'gone' \(.*\.py:"):
        world(Broken(), 32, 0, 10)
    with pytest.raises((UsageError, RuntimeError), match=r"Exiting .* sys\.exit\(3\) \(.*\.py:"):
        world(Exiting(), 32, 0, 10)
    assert capfd.readouterr().err == ""


class Broken(FoodRoom):
    """Its build fails."""

    def build(self, seed: int) -> BuiltScene:
        raise KeyError("gone")


class Exiting(FoodRoom):
    """Its build exits."""

    def build(self, seed: int) -> BuiltScene:
        sys.exit(3)


def test_world_closes_twice_and_leaves_no_file(world: RealtimeWorld) -> None:
    world.close()
    world.close()
    assert world.process.returncode == 0
    assert not world.shared_frame.path.exists()


PARENT = """
import os
from agent.worlds.embedded.realtime import RealtimeWorld
from agent.worlds.embedded.scenes.food_room import FoodRoom
world = RealtimeWorld(FoodRoom(pool=1), 16, 0)
print(world.process.pid, flush=True)
os.read(0, 1)
os._exit(1)
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes through /proc")
def test_process_ends_when_its_parent_dies() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    out, _ = parent.communicate(b"x")
    assert parent.returncode == 1
    wait_until(lambda: not alive(int(out)))


def alive(pid: int) -> bool:
    try:
        with Path(f"/proc/{pid}/stat").open() as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_embedded_world_imports_no_torch() -> None:
    program = (
        "import sys, agent.worlds.embedded.realtime, agent.worlds.embedded.realtime_process;"
        "import agent.worlds.embedded.scenes.street;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'lightning')))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=environment).returncode == 0
