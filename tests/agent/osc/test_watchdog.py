from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from agent.actions import ACTIONS, NEUTRAL
from agent.osc import watchdog_process
from agent.osc.watchdog import LIMIT_S, Watchdog
from tests.agent.osc.receiver import Receiver

NEUTRALS = list(NEUTRAL.items())


class ScriptedAgent:
    """Beats as a list of (seconds, beat) says, on a clock that moves only when it is waited for.

    Args:
        beats: (time, heartbeat) pairs: from when on which heartbeat holds.
        end: when the process is gone.
    """

    def __init__(self, beats: list[tuple[float, float]], end: float) -> None:
        self.now = 100.0
        self.beats, self.end = beats, end
        self.closed = False
        self.releases = 0

    def clock(self) -> float:
        return self.now

    def last_beat(self) -> float:
        return [beat for since, beat in self.beats if since <= self.now][-1]

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return self.now >= self.end

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def count_release(self) -> None:
        self.releases += 1


class CountedInputs:
    def __init__(self, agent: ScriptedAgent) -> None:
        self._agent = agent
        self.times: list[float] = []

    def release(self) -> None:
        self.times.append(round(self._agent.now, 2))


def watch(agent: ScriptedAgent) -> list[float]:
    inputs = CountedInputs(agent)
    watchdog_process.watch(agent, inputs, LIMIT_S, agent.clock)  # type: ignore[arg-type]
    return inputs.times


def test_hang_releases_inputs_in_time_with_three_messages_once() -> None:
    agent = ScriptedAgent([(100.0, 100.0)], end=110.0)
    agent.closed = True
    times = watch(agent)
    assert times == pytest.approx([100.52, 100.57, 100.62], abs=0.021)
    assert agent.releases == 1


def test_beating_agent_is_not_released() -> None:
    beats = [(100.0 + t / 10, 100.0 + t / 10) for t in range(100)]
    agent = ScriptedAgent(beats, end=109.9)
    agent.closed = True
    assert watch(agent) == []


def test_released_agent_needs_no_heartbeat() -> None:
    agent = ScriptedAgent([(100.0, 100.0), (100.2, watchdog_process.RELEASED)], end=200.0)
    agent.closed = True
    assert watch(agent) == []


def test_recovered_agent_is_not_released_by_a_repetition() -> None:
    agent = ScriptedAgent([(100.0, 100.0), (100.55, 100.55)], end=100.9)
    agent.closed = True
    assert len(watch(agent)) == 1


def test_second_hang_releases_inputs_too() -> None:
    agent = ScriptedAgent([(100.0, 100.0), (102.0, 102.0)], end=105.0)
    agent.closed = True
    assert len(watch(agent)) == 6
    assert agent.releases == 2


def test_inputs_are_released_at_once_when_the_process_is_gone() -> None:
    agent = ScriptedAgent([(100.0, watchdog_process.RELEASED)], end=100.3)
    assert watch(agent) == pytest.approx([100.3, 100.35, 100.4], abs=0.021)


@pytest.fixture
def watchdog(receiver: Receiver) -> Iterator[Watchdog]:
    watchdog = Watchdog(port=receiver.port)
    yield watchdog
    watchdog.close()


def test_watchdog_process_releases_inputs_when_heartbeats_stop(
    watchdog: Watchdog, receiver: Receiver
) -> None:
    watchdog.beat()
    assert receiver.read_many(3 * len(ACTIONS)) == NEUTRALS * 3


def test_close_ends_the_process_without_a_release(watchdog: Watchdog, receiver: Receiver) -> None:
    watchdog.beat()
    watchdog.release_inputs()
    watchdog.close()
    watchdog.close()
    assert watchdog._process.returncode == 0
    assert receiver.pending() == []
    assert not watchdog._path.exists()


def test_dead_watchdog_is_replaced(watchdog: Watchdog, receiver: Receiver) -> None:
    first = watchdog.pid
    watchdog._process.kill()
    watchdog._process.wait()
    watchdog.beat()
    assert watchdog.pid != first
    assert receiver.read_many(3 * len(ACTIONS)) == NEUTRALS * 3


def test_error_names_a_watchdog_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.osc.watchdog._PROGRAM", "raise SystemExit")
    with pytest.raises(RuntimeError, match="did not start"):
        Watchdog(port=9)


PROGRAM = """
import numpy as np, signal
from agent.osc.sender import OscSender
from agent.osc.watchdog import Watchdog
# nohup lets every child ignore it.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
watchdog = Watchdog(port={port})
actuator = OscSender(port={port})
watchdog.beat()
actuator.act(np.array([1, 2, 1, 0, 1]))
print("moving", flush=True)
signal.pause()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("ending", ["SIGKILL", "SIGTERM", "SIGHUP"])
def test_inputs_are_released_however_the_agent_ends(receiver: Receiver, ending: str) -> None:
    program = PROGRAM.format(port=receiver.port)
    agent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
    )
    assert agent.stdout is not None
    assert agent.stdout.readline() == b"moving\n"
    last = dict(receiver.read_many(4 * len(ACTIONS)))
    assert last["/input/Vertical"] == 1.0
    # The whole process group, as a closing terminal or an impatient user does.
    os.killpg(agent.pid, getattr(signal, ending))
    agent.wait()
    agent.stdout.close()
    assert receiver.read_many(3 * len(ACTIONS)) == NEUTRALS * 3
