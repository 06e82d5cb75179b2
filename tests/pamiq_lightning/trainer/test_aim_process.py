"""The real Aim, on repositories as killed processes and moved folders leave them."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pamiq_lightning.run_files import AIM_RUN
from pamiq_lightning.trainer.aim_process import AimTarget, Parameters, Reply, Track, serve

pytestmark = pytest.mark.filterwarnings("ignore")
LOSS = Track({"loss": 0.5}, step=7, context={"learner": "policy"})


def new_target(folder: Path) -> AimTarget:
    run = folder / "street" / "20260101-120000"
    run.mkdir(parents=True)
    return AimTarget(folder, "street", run)


@pytest.fixture
def target(tmp_path: Path) -> AimTarget:
    """A new folder of runs."""
    return new_target(tmp_path)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> AimTarget:
    """A folder of runs with one run in Aim, for `logged_target`."""
    target = new_target(tmp_path_factory.mktemp("runs"))
    picture = Track(Image.new("RGB", (4, 4)), "view", 3)
    assert converse(target, Parameters("settings", {"seed": 1}), LOSS, picture) == 5 * [Reply()]
    return target


@pytest.fixture
def logged_target(original: AimTarget, tmp_path: Path) -> AimTarget:
    """A copy of it."""
    folder = tmp_path / "runs"
    shutil.copytree(original.repo, folder)
    return AimTarget(folder, "street", folder / "street" / "20260101-120000")


def converse(target: AimTarget, *records: Track | Parameters) -> list[Reply]:
    """Have the records written; return the reply to the target and to each record."""
    requests, replies = io.BytesIO(), io.BytesIO()
    for request in (target, *records, None):
        pickle.dump(request, requests)
    requests.seek(0)
    serve(requests, replies)
    replies.seek(0)
    answers = []
    while replies.tell() < replies.getbuffer().nbytes:
        answers.append(pickle.load(replies))
    return answers


def known_hash(target: AimTarget) -> str:
    assert target.run_folder is not None
    return (target.run_folder / AIM_RUN).read_text()


def logged(target: AimTarget) -> Any:
    """Return what the run in Aim holds that the run folder names."""
    import aim

    known = known_hash(target)
    tree = aim.Repo.from_path(str(target.repo)).request_tree("meta", known, read_only=True)
    return tree.subtree(("meta", "chunks", known)).collect()


def steps(target: AimTarget) -> list[int]:
    """Return the first and the last step of the loss."""
    (loss,) = (traces["loss"] for traces in logged(target)["traces"].values() if "loss" in traces)
    return [loss["first_step"], loss["last_step"]]


def test_the_next_process_continues_the_same_run(
    original: AimTarget, logged_target: AimTarget
) -> None:
    assert converse(logged_target, replace(LOSS, step=8)) == 3 * [Reply()]
    assert known_hash(logged_target) == known_hash(original)
    assert steps(logged_target) == [7, 8]
    assert logged(logged_target)["attrs"]["settings"] == {"seed": 1}
    assert any("view" in traces for traces in logged(logged_target)["traces"].values())


def _no_version(repo: Path) -> None:
    (repo / "locks").mkdir(parents=True)
    lock = repo / "locks" / "structured_db_lock"
    lock.touch()
    os.utime(lock, (0, 0))


def _empty_version(repo: Path) -> None:
    (repo / "meta").mkdir(parents=True)
    (repo / "VERSION").touch()


@pytest.mark.parametrize("leave", [_no_version, _empty_version])
def test_a_half_made_repository_is_completed(
    target: AimTarget, leave: Callable[[Path], None]
) -> None:
    leave(target.repo / ".aim")
    assert converse(target, LOSS) == 3 * [Reply()]
    assert steps(target) == [7, 7]


def test_a_half_made_repository_that_cannot_be_completed_is_set_aside(target: AimTarget) -> None:
    repo = target.repo / ".aim"
    repo.mkdir()
    with closing(sqlite3.connect(repo / "run_metadata.sqlite")) as database:
        # As a migration leaves it that was killed.
        database.execute("create table experiment (id integer)")
    (answer,) = converse(target, LOSS)
    assert "was half made" in answer.error and not answer.permanent
    (aside,) = target.repo.glob(".aim.broken-*")
    assert aside.name in answer.error and (aside / "run_metadata.sqlite").is_file()


@pytest.mark.parametrize("content", ["", "1-2", "garbage"])
def test_a_lock_left_by_a_killed_process_keeps_nobody_out(
    logged_target: AimTarget, content: str
) -> None:
    locks = logged_target.repo / ".aim" / "locks"
    (locks / f"{known_hash(logged_target)}.softlock").write_text(content)
    assert converse(logged_target, LOSS) == 3 * [Reply()]


@pytest.mark.parametrize("known", ["0123456789abcdef01234567", ""])
def test_a_run_that_the_repository_lacks_begins_a_new_one(
    logged_target: AimTarget, known: str
) -> None:
    assert logged_target.run_folder is not None
    (logged_target.run_folder / AIM_RUN).write_text(known)
    answer = converse(logged_target, replace(LOSS, step=9))[0]
    assert not answer.error and steps(logged_target) == [9, 9]
    assert known_hash(logged_target) != known
    assert answer.notes == (
        (f"Aim has no run {known} in {logged_target.repo}: a new Aim run is begun",)
        if known
        else ()
    )
