"""The folder and the CSV file of one command."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger


class CSVLog(CSVLogger):
    """Lightning's CSVLogger, whose folder `version_N` belongs to one command alone.

    Lightning counts the folders that are there, so two commands begun together would write into
    one. A command that fails before it has written anything leaves none.
    """

    @property
    def version(self) -> int | str:
        """The number of the folder, which is made at the first use."""
        while self._version is None:
            number = self._get_next_version()
            # Another command was faster.
            with suppress(FileExistsError):
                Path(self.root_dir, f"version_{number}").mkdir(parents=True)
                self._version = number
        return self._version

    def save(self) -> None:
        """Write the metrics.

        Raises:
            OSError: the disk refuses; the error names the file.
        """
        try:
            super().save()
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.experiment.metrics_file_path) from error

    def finalize(self, status: str) -> None:
        """Write what is left; remove the folder if it is empty."""
        super().finalize(status)
        if self._version is not None:
            # A folder with something in it cannot be removed so.
            with suppress(OSError):
                Path(self.log_dir).rmdir()
