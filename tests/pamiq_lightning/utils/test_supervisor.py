"""A supervised process on a virtual clock, with a fake process."""

from __future__ import annotations

import errno

import pytest

from pamiq_lightning.utils.supervisor import SupervisedProcess


class FakeProcess:
    """Runs until it is killed."""

    pid, exitcode = 1, -9

    def __init__(self) -> None:
        self.running = False

    def start(self) -> None:
        self.running = True

    def is_alive(self) -> bool:
        return self.running

    def kill(self) -> None:
        self.running = False

    def join(self, timeout: float | None = None) -> None: ...


class Supervised:
    """A supervised process with its clock, its starts and the progress of its processes."""

    def __init__(self) -> None:
        self.now, self.progress, self.heartbeat = 0.0, 0, 0.0
        self.refuse = False
        self.process = SupervisedProcess("worker", lambda: self.now)
        self.start()

    def start(self) -> None:
        if self.refuse:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        self.process.start(FakeProcess())  # type: ignore[arg-type]
        self.process.wait_started()

    def watch(self) -> str | None:
        return self.process.supervise(self.now, self.start, self.progress, self.heartbeat, 100.0)

    def die(self) -> str:
        """Kill the process and return what the supervision says."""
        self.process.kill()
        event = self.watch()
        assert event is not None
        return event


@pytest.fixture
def worker() -> Supervised:
    return Supervised()


def test_a_dead_process_is_restarted_after_delays_that_double(worker: Supervised) -> None:
    delays = []
    for _ in range(10):
        assert "worker ended (exit code -9)" in worker.die()
        died = worker.now
        while not worker.process.alive:
            worker.now += 0.25
            assert worker.watch() is None
        delays.append(worker.now - died)
    assert delays == [0.25, 0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert worker.process.restarts == 10


def test_a_refused_start_is_repeated(worker: Supervised) -> None:
    worker.now = 10.0
    worker.die()
    worker.now, worker.refuse = 11.0, True
    event = worker.watch()
    assert event is not None and "could not be started (Resource temporarily" in event
    worker.now, worker.refuse = 11.1, False
    assert worker.watch() is None and not worker.process.alive
    worker.now = 11.6
    assert worker.watch() is None and worker.process.alive
    assert worker.process.restarts == 1


def test_the_delay_is_short_again_after_progress(worker: Supervised) -> None:
    for _ in range(4):
        worker.die()
        worker.now += 60
        worker.watch()
    worker.progress = 1
    assert "starts in 0.25 s" in worker.die()
    worker.now += 60
    worker.watch()
    assert "starts in 0.5 s" in worker.die()


def test_a_hanging_process_is_killed(worker: Supervised) -> None:
    worker.heartbeat, worker.now = 50.0, 149.0
    assert worker.watch() is None and worker.process.alive
    worker.now = 151.0
    assert "worker hangs (100 s without heartbeat)" in (worker.watch() or "")
    assert not worker.process.alive


def test_no_process_is_restarted_after_join(worker: Supervised) -> None:
    assert not worker.process.join()
    assert not worker.process.alive
    worker.now = 1000.0
    assert worker.watch() is None
