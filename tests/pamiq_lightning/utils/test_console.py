"""Messages to a person: none ends the process that prints it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from rich.console import Console
from rich.live import Live

from pamiq_lightning.utils.console import print_error, safe_print, safe_stream, safe_streams

_IMPORT = "from pamiq_lightning.utils.console import open_missing_streams, safe_print; "


def _run(code: str, redirect: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -c "$1" {redirect}', sys.executable, _IMPORT + code],
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_a_line_goes_to_its_stream(capfd: pytest.CaptureFixture[str]) -> None:
    safe_print("out")
    print_error("wrong")
    assert capfd.readouterr() == ("out\n", "wrong\n")


def test_a_line_goes_to_a_stream_without_a_descriptor(capsys: pytest.CaptureFixture[str]) -> None:
    safe_print("out")
    assert capsys.readouterr().out == "out\n"


def test_lines_keep_their_order_among_prints(capfd: pytest.CaptureFixture[str]) -> None:
    print("first")
    safe_print("second")
    assert capfd.readouterr().out == "first\nsecond\n"


def test_a_library_prints_to_whatever_the_stream_is_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = safe_stream()
    assert not stream.isatty() and stream.encoding.lower() == "utf-8"
    stream.write("out")
    monkeypatch.setattr(sys, "stdout", None)
    assert not stream.isatty()
    stream.write("lost")
    assert capsys.readouterr().out == "out"


def test_a_library_that_prints_by_itself_never_raises(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with safe_streams():
        print("out")
        safe_print("safe")
        print("wrong", file=sys.stderr)
    assert capsys.readouterr() == ("out\nsafe\n", "wrong\n")

    def refuse(text: str) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(sys.stdout, "write", refuse)
    with safe_streams():
        print("lost")


def test_a_line_goes_above_a_live_block(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(file=safe_stream(), force_terminal=True)
    with Live("block", console=console, auto_refresh=False):
        safe_print("above")
    out = capsys.readouterr().out
    assert out.index("above") < out.rindex("block")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full and a POSIX shell")
class TestOfStreams:
    """What the caller may have done to a standard stream."""

    @pytest.mark.parametrize("redirect", ["> /dev/full", ">&-", "<&- >&- 2>&-"])
    def test_a_refused_line_is_lost_and_the_process_goes_on(self, redirect: str) -> None:
        done = _run("safe_print('lost'); import sys; sys.exit(7)", redirect)
        assert (done.returncode, done.stderr) == (7, b"")

    def test_a_reader_that_is_gone_ends_nothing(self) -> None:
        reader, pipe = os.pipe()
        os.close(reader)
        code = _IMPORT + "safe_print('lost'); import sys; sys.exit(7)"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, check=False)
        os.close(pipe)
        assert (done.returncode, done.stderr) == (7, b"")

    def test_what_the_encoding_lacks_is_escaped(self) -> None:
        done = _run("safe_print('\u8857')", "", PYTHONIOENCODING="ascii")
        assert (done.returncode, done.stdout) == (0, b"\\u8857\n")

    def test_missing_streams_are_the_null_device_and_not_the_next_file(self) -> None:
        code = (
            "open_missing_streams(); import sys; file = open('/dev/zero'); safe_print('lost'); "
            "print('lost', file=sys.stdout); sys.exit(file.fileno() > 2)"
        )
        assert _run(code, "<&- >&- 2>&-").returncode == 1
