from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from pamiq_lightning.exchange.rollouts import (
    AGENT_METRICS,
    RolloutReader,
    RolloutsSpec,
    RolloutWriter,
)
from pamiq_lightning.step import Field, StepShape
from tests.synthetic import SHAPE, arrays

METRICS = dict.fromkeys(AGENT_METRICS, 1.5)


def ring(folder: Path, rows: int = 4, slots: int = 3) -> RolloutsSpec:
    return RolloutsSpec(folder / "rollouts", SHAPE, rows, slots)


def fill(writer: RolloutWriter, number: int) -> dict[str, np.ndarray]:
    steps = arrays(writer.spec.rows, writer.spec.rows * number)
    for row in range(writer.spec.rows):
        writer.write({key: values[row] for key, values in steps.items()})
    writer.commit(METRICS)
    return steps


def test_ring_hands_over_every_key_unchanged(tmp_path: Path) -> None:
    writer = RolloutWriter(ring(tmp_path))
    reader = RolloutReader(writer.spec)
    assert reader.read() is None
    written = fill(writer, 0)
    rollout = reader.read()
    assert rollout is not None
    assert rollout.number == 0
    assert rollout.metrics == METRICS
    for key, values in written.items():
        np.testing.assert_array_equal(rollout.steps[key], values)
    assert reader.read() is None


def test_ring_counts_overwritten_rollouts_as_dropped(tmp_path: Path) -> None:
    writer = RolloutWriter(ring(tmp_path, slots=3))
    reader = RolloutReader(writer.spec)
    for number in range(7):
        fill(writer, number)
    # The slot of rollout 7 is open, so of three slots two hold the newest full rollouts.
    numbers = []
    while (rollout := reader.read()) is not None:
        numbers.append(rollout.number)
    assert numbers == [5, 6]
    assert reader.dropped == 5


def test_ring_drops_a_rollout_overwritten_while_it_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = RolloutWriter(ring(tmp_path, slots=2))
    reader = RolloutReader(writer.spec)
    fill(writer, 0)
    keys, overwritten = StepShape.fields, []

    def overwrite_once(shape: StepShape) -> Mapping[str, Field]:
        # The reader asks for the keys right before it copies them.
        if not overwritten:
            overwritten.append(True)
            fill(writer, 1)
        return keys(shape)

    monkeypatch.setattr(StepShape, "fields", overwrite_once)
    rollout = reader.read()
    assert reader.dropped == 1
    assert rollout is not None and rollout.number == 1
    np.testing.assert_array_equal(rollout.steps["index"], arrays(4, 4)["index"])


def test_each_reader_has_its_own_cursor(tmp_path: Path) -> None:
    writer = RolloutWriter(ring(tmp_path))
    trainer, recorder = RolloutReader(writer.spec), RolloutReader(writer.spec)
    fill(writer, 0)
    assert trainer.read() is not None
    fill(writer, 1)
    assert recorder.unread == 2
    assert trainer.unread == 1


def test_writer_refuses_a_missing_key_and_a_partial_rollout(tmp_path: Path) -> None:
    writer = RolloutWriter(ring(tmp_path))
    row = {key: values[0] for key, values in arrays(1).items()}
    with pytest.raises(RuntimeError, match="0 of 4 rows"):
        writer.commit(METRICS)
    del row["reward"]
    with pytest.raises(KeyError, match="reward"):
        writer.write(row)


def test_ring_file_is_fully_allocated(tmp_path: Path) -> None:
    spec = ring(tmp_path)
    RolloutWriter(spec)
    stat = spec.path.stat()
    assert stat.st_blocks * 512 >= stat.st_size >= spec.size


def test_rollout_numbers_start_at_first_and_carry_the_agent_state(tmp_path: Path) -> None:
    writer = RolloutWriter(ring(tmp_path), first=41)
    reader = RolloutReader(writer.spec)
    assert reader.read() is None and reader.dropped == 0
    for number in (41, 42):
        for row in range(writer.spec.rows):
            writer.write({key: values[row] for key, values in arrays(4, 4 * number).items()})
        writer.commit(METRICS, bytes([number]) * 1000)
    for number in (41, 42):
        rollout = reader.read()
        assert rollout is not None and rollout.number == number
        assert reader.agent_state == bytes([number]) * 1000
    assert reader.dropped == 0


def test_replacement_reader_reads_the_newest_agent_state(tmp_path: Path) -> None:
    writer = RolloutWriter(ring(tmp_path), first=41)
    reader = RolloutReader(writer.spec, cursor=45)
    reader.read_latest_state()
    assert reader.agent_state == b""
    for number in range(41, 45):
        for row in range(writer.spec.rows):
            writer.write({key: values[row] for key, values in arrays(4, 4 * number).items()})
        writer.commit(METRICS, bytes([number]) * 10)
    reader.read_latest_state()
    assert reader.agent_state == bytes([44]) * 10
    assert reader.read() is None and reader.dropped == 0


def test_writer_refuses_an_agent_state_that_is_too_long(tmp_path: Path) -> None:
    writer = RolloutWriter(ring(tmp_path))
    for row in range(4):
        writer.write({key: values[row] for key, values in arrays(4).items()})
    with pytest.raises(ValueError, match="room is"):
        writer.commit(METRICS, bytes(writer.spec.agent_state_bytes + 1))
