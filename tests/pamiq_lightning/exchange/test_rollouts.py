from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pamiq_lightning.exchange.rollouts import (
    AGENT_METRICS,
    RolloutReader,
    RolloutsSpec,
    RolloutWriter,
)
from tests.synthetic import SHAPE, arrays

FIGURES = dict.fromkeys(AGENT_METRICS, 1.5)


def ring(folder: Path, rows: int = 4, slots: int = 3) -> RolloutsSpec:
    return RolloutsSpec(folder / "rollouts", SHAPE, rows, slots)


def fill(writer: RolloutWriter, number: int) -> dict[str, np.ndarray]:
    steps = arrays(writer.spec.rows, writer.spec.rows * number)
    for row in range(writer.spec.rows):
        writer.write({key: values[row] for key, values in steps.items()})
    writer.commit(FIGURES)
    return steps


def test_every_key_arrives_unchanged(tmp_path: Path) -> None:
    writer = RolloutWriter(ring(tmp_path))
    reader = RolloutReader(writer.spec)
    assert reader.read() is None
    written = fill(writer, 0)
    rollout = reader.read()
    assert rollout is not None
    assert rollout.number == 0
    assert rollout.metrics == FIGURES
    for key, values in written.items():
        np.testing.assert_array_equal(rollout.steps[key], values)
    assert reader.read() is None


def test_rollouts_that_were_overwritten_are_counted_as_dropped(tmp_path: Path) -> None:
    writer = RolloutWriter(ring(tmp_path, slots=3))
    reader = RolloutReader(writer.spec)
    for number in range(7):
        fill(writer, number)
    # Slot of window 7 is open, so of three slots the two newest windows are left.
    numbers = []
    while (rollout := reader.read()) is not None:
        numbers.append(rollout.number)
    assert numbers == [5, 6]
    assert reader.dropped == 5


def test_a_rollout_overwritten_while_it_is_copied_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = RolloutWriter(ring(tmp_path, slots=2))
    reader = RolloutReader(writer.spec)
    fill(writer, 0)
    copy, overwritten = reader._copy, []

    def copy_slowly(key: str, slot: int) -> np.ndarray:
        if not overwritten:
            overwritten.append(True)
            fill(writer, 1)
        return copy(key, slot)

    monkeypatch.setattr(reader, "_copy", copy_slowly)
    rollout = reader.read()
    assert reader.dropped == 1
    assert rollout is not None and rollout.number == 1
    np.testing.assert_array_equal(rollout.steps["index"], arrays(4, 4)["index"])


def test_readers_have_their_own_cursors(tmp_path: Path) -> None:
    writer = RolloutWriter(ring(tmp_path))
    trainer, recorder = RolloutReader(writer.spec), RolloutReader(writer.spec)
    fill(writer, 0)
    assert trainer.read() is not None
    fill(writer, 1)
    assert recorder.unread == 2
    assert trainer.unread == 1


def test_a_missing_key_and_a_half_rollout_are_refused(tmp_path: Path) -> None:
    writer = RolloutWriter(ring(tmp_path))
    row = {key: values[0] for key, values in arrays(1).items()}
    with pytest.raises(RuntimeError, match="0 of 4 rows"):
        writer.commit(FIGURES)
    del row["reward"]
    with pytest.raises(KeyError, match="reward"):
        writer.write(row)


def test_the_file_is_fully_allocated(tmp_path: Path) -> None:
    spec = ring(tmp_path)
    RolloutWriter(spec)
    stat = spec.path.stat()
    assert stat.st_blocks * 512 >= stat.st_size >= spec.size


def test_numbers_go_on_from_the_first_and_the_agents_state_travels_along(tmp_path: Path) -> None:
    writer = RolloutWriter(ring(tmp_path), first=41)
    reader = RolloutReader(writer.spec)
    assert reader.read() is None and reader.dropped == 0
    for number in (41, 42):
        for row in range(writer.spec.rows):
            writer.write({key: values[row] for key, values in arrays(4, 4 * number).items()})
        writer.commit(FIGURES, bytes([number]) * 1000)
    for number in (41, 42):
        rollout = reader.read()
        assert rollout is not None and rollout.number == number
        assert reader.agent_state == bytes([number]) * 1000
    assert reader.dropped == 0


def test_whoever_takes_a_readers_place_knows_the_agents_newest_state(tmp_path: Path) -> None:
    writer = RolloutWriter(ring(tmp_path), first=41)
    reader = RolloutReader(writer.spec, cursor=45)
    reader.read_latest_state()
    assert reader.agent_state == b""
    for number in range(41, 45):
        for row in range(writer.spec.rows):
            writer.write({key: values[row] for key, values in arrays(4, 4 * number).items()})
        writer.commit(FIGURES, bytes([number]) * 10)
    reader.read_latest_state()
    assert reader.agent_state == bytes([44]) * 10
    assert reader.read() is None and reader.dropped == 0


def test_more_state_than_there_is_room_for_is_refused(tmp_path: Path) -> None:
    writer = RolloutWriter(ring(tmp_path))
    for row in range(4):
        writer.write({key: values[row] for key, values in arrays(4).items()})
    with pytest.raises(ValueError, match="room is"):
        writer.commit(FIGURES, bytes(writer.spec.agent_state_bytes + 1))
