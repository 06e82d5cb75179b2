"""The handle on Aim's process: with an Aim that fails or hangs on demand, and with the real one."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from pamiq_lightning.run_files import AIM_RUN
from pamiq_lightning.trainer import aim_log
from pamiq_lightning.trainer.aim_log import AimLog
from pamiq_lightning.trainer.aim_process import AimTarget, Track
from tests.conftest import wait_until

FAKE_AIM = """
import time
from pathlib import Path

class Repo:
    from_path = staticmethod(lambda path, init=False: path)

class Run:
    hash = "0"

    def __init__(self, *_, repo, **options):
        self.folder = Path(repo)
        # By default Aim would store every environment variable of the user.
        assert options["log_system_params"] is options["capture_terminal_logs"] is False

    def track(self, value, **where):
        print("what a library prints")
        if (self.folder / "full").exists():
            raise OSError("No space left on device")
        if (self.folder / "hangs").exists():
            (self.folder / "hangs").write_text("now")
            time.sleep(600)
        with (self.folder / "tracked").open("a") as file:
            file.write(f"{value} ")

    def close(self): ...
"""


@pytest.fixture
def fake_aim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "aim.py").write_text(FAKE_AIM)
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.setattr(aim_log, "FIRST_DELAY_S", 0.01)


def tracked(folder: Path) -> list[str]:
    file = folder / "tracked"
    return file.read_text().split() if file.is_file() else []


def test_after_a_full_disk_the_records_that_were_kept_are_written(
    tmp_path: Path, fake_aim: None
) -> None:
    messages: list[str] = []
    log = AimLog(AimTarget(tmp_path, "street"), messages.append, quiet=True)
    log.put(Track(0))
    wait_until(lambda: bool(tracked(tmp_path)))
    (tmp_path / "full").touch()
    log.put(Track(1))
    log.put(Track(2))
    wait_until(lambda: bool(messages))
    log.put(Track(3))
    (tmp_path / "full").unlink()
    wait_until(lambda: tracked(tmp_path)[-1] == "3")
    log.close()
    assert tracked(tmp_path)[0] == "0" and "No space left on device" in messages[0]
    assert messages[0].endswith("they are kept, and it is tried again") and len(messages) == 2
    assert messages[1] == f"Aim takes records again; left out so far: {log.lost}"
    assert len(tracked(tmp_path)) + log.lost == 4


def test_an_aim_that_hangs_is_abandoned_at_the_end(tmp_path: Path, fake_aim: None) -> None:
    messages: list[str] = []
    (tmp_path / "hangs").touch()
    log = AimLog(AimTarget(tmp_path, "street"), messages.append, quiet=True)
    for number in range(3):
        log.put(Track(number))
    wait_until(lambda: bool((tmp_path / "hangs").read_text()))
    log.close(timeout=0.01)
    assert len(messages) == 1 and messages[0].startswith("Aim did not finish within 0 s; ")
    assert log._process is not None
    assert log._process.wait(30) < 0


def test_a_write_that_never_returns_ends_the_process() -> None:
    code = """
        import threading
        from pamiq_lightning.trainer.aim_process import _limit
        with _limit(0.05):
            threading.Event().wait()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], stderr=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 1


def test_without_aim_one_message_is_reported(tmp_path: Path, fake_aim: None) -> None:
    (tmp_path / "package" / "aim.py").write_text("raise ImportError('no aim here')")
    messages: list[str] = []
    log = AimLog(AimTarget(tmp_path, "street"), messages.append, quiet=True)
    for number in range(20):
        log.put(Track(number))
    log.close()
    (message,) = messages
    assert message == (
        "Aim is not available (ImportError: no aim here): logging continues without it"
    )


def test_three_starts_at_once_in_a_new_folder_all_log(
    tmp_path: Path, started: Callable[[Path], AimLog]
) -> None:
    folders = [tmp_path / "experiment" / str(number) for number in range(3)]
    logs = [started(folder) for folder in folders]
    for log in logs:
        log.put(Track(1.0, "loss"))
        log.close(timeout=120)
    hashes = {(folder / AIM_RUN).read_text() for folder in folders}
    assert len(hashes) == 3
    assert {path.name for path in (tmp_path / ".aim" / "meta" / "chunks").iterdir()} == hashes


@pytest.fixture
def started(tmp_path: Path) -> Callable[[Path], AimLog]:
    """Starts a log in a run folder, which must send no message."""

    def start(folder: Path) -> AimLog:
        folder.mkdir(parents=True)
        return AimLog(AimTarget(tmp_path, "experiment", folder), pytest.fail, quiet=True)

    return start
