"""The same seed and actions in two processes; long, hence slow: `pytest -m slow`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.agent.worlds.embedded.conftest import SCENES

PROGRAM = """
import hashlib, sys
import numpy as np
from agent.actions import CHOICES
from agent.worlds.embedded.lockstep import LockstepWorld
from tests.agent.worlds.embedded.conftest import scene_named

world = LockstepWorld(scene_named(sys.argv[1]), 48, 7, 10)
digest = hashlib.sha256()
for action in np.random.default_rng(1).integers(0, CHOICES, (int(sys.argv[2]), len(CHOICES))):
    frame, info = world.observe()
    digest.update(frame.tobytes())
    digest.update(info.tobytes())
    world.act(action)
print(digest.hexdigest())
"""


def digest(name: str, ticks: int) -> str:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONHASHSEED": "random",
    }
    program = [sys.executable, "-c", PROGRAM, name, str(ticks)]
    return subprocess.run(
        program, env=environment, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SCENES))
def test_two_processes_render_the_same_two_thousand_ticks(name: str) -> None:
    assert digest(name, 2000) == digest(name, 2000)


def test_two_processes_render_the_same_street() -> None:
    assert digest("street", 60) == digest("street", 60)
