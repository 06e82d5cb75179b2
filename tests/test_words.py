"""Words of the project's old private language do not come back; docs/glossary.md explains them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BANNED = (
    *("artist", "chance", "dwelling", "eyes", "figures", "hallway", "keeper", "life", "lived"),
    *("lives", "made up", "mind", "moment", "moments", "muscles", "nursery", "rehearse"),
    *("rehearsed", "rehearses", "told", "trainee", "trainees"),
)
FOLDERS = ("agent", "conf", "docs", "pamiq_lightning", "tests", "tools")
SUFFIXES = (".html", ".md", ".py", ".toml", ".yaml", ".yml")
EXEMPT = ("docs/glossary.md", "CHANGELOG.md", "tests/test_words.py")
TAGLINE = "learns while it lives"
_PATTERN = re.compile(
    rf"(?<![A-Za-z])({'|'.join(BANNED)})(?![A-Za-z])".replace(" ", "[ _-]"), re.IGNORECASE
)


def texts() -> list[Path]:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    return [
        path
        for path in (*files, *ROOT.glob("*"))
        if path.suffix in SUFFIXES and path.relative_to(ROOT).as_posix() not in EXEMPT
    ]


def test_only_the_words_of_the_field() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in _PATTERN.finditer(line.replace(TAGLINE, ""))
    ]
    assert not found
