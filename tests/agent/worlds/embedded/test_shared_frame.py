from __future__ import annotations

import threading
from contextlib import closing

import numpy as np

from agent.worlds.embedded.shared_frame import SharedFrame


def test_reader_gets_the_newest_frame_and_info() -> None:
    with closing(SharedFrame.create(4, 6, 2)) as memory:
        for number in range(5):
            memory.write(
                np.full((3, 4, 6), number, np.uint8), np.array([number, -number], np.float32)
            )
        frame, info = memory.read()
        assert (frame == 4).all() and info.tolist() == [4.0, -4.0]
        assert memory.drawn == 5
    memory.remove()


def test_two_mappings_share_words_text_and_frames() -> None:
    with (
        closing(SharedFrame.create(4, 6, 1)) as writer,
        closing(SharedFrame(writer.path, 4, 6, 1)) as reader,
    ):
        writer.port, writer.failure = 4711, "it broke: " + "x" * 5000
        writer.write(np.ones((3, 4, 6), np.uint8), np.ones(1, np.float32))
        assert reader.port == 4711
        assert reader.failure.startswith("it broke: xxx") and len(reader.failure) == 2048
        assert reader.read()[0].sum() == 72
    writer.remove()
    assert not writer.path.exists()


def test_frames_never_tear_while_the_writer_races() -> None:
    with closing(SharedFrame.create(64, 64, 1)) as memory:
        memory.write(np.zeros((3, 64, 64), np.uint8), np.zeros(1, np.float32))
        done = threading.Event()

        def write() -> None:
            for number in range(3000):
                shade = number % 251
                memory.write(np.full((3, 64, 64), shade, np.uint8), np.full(1, shade, np.float32))
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        reads = 0
        while not done.is_set():
            frame, info = memory.read()
            assert (frame == info[0]).all()
            reads += 1
        writer.join()
        assert reads > 0
    memory.remove()
