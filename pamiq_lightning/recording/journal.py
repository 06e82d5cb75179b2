"""The rows of an open episode: an Arrow stream, readable up to where a kill cut it off."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from pamiq_lightning.utils.atomic_io import WholeFile


class JournalWriter:
    """Appends rows to a file, unbuffered.

    Args:
        path: of the file; must not exist.
        schema: of the rows.

    Raises:
        OSError: the disk refuses, here and in `write`.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = WholeFile(path)
        self._stream = pa.ipc.new_stream(pa.PythonFile(self._file, "w"), schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        self._stream.write_batch(batch)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_journal(path: Path, schema: pa.Schema) -> pa.Table:
    """Return all whole batches of a journal, without a cut-off end; none of a damaged file."""
    batches: list[pa.RecordBatch] = []
    try:
        with path.open("rb") as file, pa.ipc.open_stream(file) as stream:
            if stream.schema.equals(schema):
                for batch in stream:
                    batch.validate(full=True)
                    batches.append(batch)
    except (OSError, EOFError, pa.ArrowException):
        pass
    return pa.Table.from_batches(batches, schema)
