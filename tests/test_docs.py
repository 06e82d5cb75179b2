"""Everything the documentation names exists: links, paths, modules, classes, settings, commands."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import itertools
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from lightning import LightningModule

from agent.lifecycle.start import default_size
from agent.settings.compose import compose, read_command_line
from agent.settings.schema import Settings, parse
from agent.worlds.vrchat.settings import VRChatSettings
from pamiq_lightning.recording.settings import RecordingSettings
from pamiq_lightning.trainer.settings import LearnerSettings, TrainerSettings

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
ROOMS = ("agent", "pamiq_lightning", "tools", "tests", "conf", "docs")
SECTIONS = {
    "trainer": TrainerSettings,
    "recording": RecordingSettings,
    "vrchat": VRChatSettings,
    "learners.ROLE": LearnerSettings,
}
EXAMPLE = "my_agent"
"""Package of the examples in CONTRIBUTING.md, which a test of their own runs."""
FILE_SUFFIXES = ("log", "png")
OUTSIDE = {"visit_count", "reward_rnd", "entropy_4", "seed_N"}
"""Names that are made of parts, and one that old pictures show."""
HISTORY = ("glossary.md", "CHANGELOG.md")
"""Pages that name what does not exist any more."""


def of_each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", paths, ids=lambda page: str(page.relative_to(ROOT)))


pages = of_each(PAGES)
present_pages = of_each([page for page in PAGES if page.name not in HISTORY])


def slugs(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def spans(page: Path) -> list[str]:
    """Return what stands in backticks, without code blocks."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


def commands(page: Path, start: str) -> Iterator[list[str]]:
    """Yield the words of every command that starts so, from blocks and backticks."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = "".join(re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    for line in [*blocks.splitlines(), *spans(page)]:
        for part in line.split("&&"):
            words = part.split(" #")[0].split()
            if words[: len(start.split())] == start.split():
                yield words[len(start.split()) :]


@pages
def test_relative_links_resolve(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not link.startswith(("http://", "https://")):
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            assert target.exists(), link
            assert not anchor or anchor in slugs(target), link


@pages
def test_paths_in_backticks_exist(page: Path) -> None:
    for span in spans(page):
        path = span.split(" ")[0]
        is_ours = re.fullmatch(rf"({'|'.join(ROOMS)})/[\w./-]*", path)
        if is_ours and EXAMPLE not in path and not re.search("[A-Z]{4}", path):
            assert (ROOT / path).exists(), span


@pages
def test_modules_that_are_run_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for module in re.findall(r"python\s-m\s([\w.]+)", text):
        spec = importlib.util.find_spec(module)
        assert spec, module
        if spec.submodule_search_locations:
            assert importlib.util.find_spec(f"{module}.__main__"), module


@pages
def test_dotted_names_of_the_packages_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"\b(?:agent|pamiq_lightning|tools)(?:\.\w+)+", text):
        if re.search(rf"[/\w]{re.escape(name)}|{re.escape(name)}(\.md|/)", text):
            continue  # A part of a path.
        assert exists(name), name


def exists(name: str) -> bool:
    """Return whether a dotted name is a module, or a name in one."""
    module, _, attribute = name.rpartition(".")
    if name.endswith((".py", ".pid", ".lock", ".safetensors")):
        return True
    try:
        if importlib.util.find_spec(name):
            return True
    except ModuleNotFoundError:
        pass
    return hasattr(importlib.import_module(module), attribute)


@cache
def vocabulary() -> set[str]:
    """Return every name that code, settings and file names use."""
    files = [path for room in ROOMS[:-1] for path in (ROOT / room).rglob("*") if path.is_file()]
    texts = [path.stem for path in files] + [
        path.read_text(encoding="utf-8")
        for path in files
        if path.suffix in (".py", ".yaml", ".html") and path != Path(__file__)
    ]
    return {name for text in texts for name in re.findall(r"\w+", text)}


@present_pages
def test_names_in_backticks_are_used_in_the_code(page: Path) -> None:
    for span in spans(page):
        for name in re.findall(r"[a-zA-Z]+_\w+|[A-Z][a-z]+[A-Z]\w*", span):
            assert name in vocabulary() | OUTSIDE, span


@present_pages
def test_settings_in_backticks_are_known(page: Path) -> None:
    top = {field.name for field in dataclasses.fields(Settings)} | {"conf", "resume"}
    for span in spans(page):
        key, equals, _ = span.partition("=")
        for section, cls in SECTIONS.items():
            match = re.fullmatch(rf"{re.escape(section)}\.(\w+)", key)
            if match and match[1] not in FILE_SUFFIXES:
                assert match[1] in {field.name for field in dataclasses.fields(cls)}, span
        if equals and re.fullmatch(r"[a-z_]+", key) and "(" not in span:
            assert key in top, span


@pages
def test_agent_commands_are_accepted(page: Path) -> None:
    for words in commands(page, "python -m agent.run"):
        words = [word for word in words if EXAMPLE not in word and word != "conf=mine"]
        if not any(word.startswith(("resume=runs", "resume=/", "conf=runs")) for word in words):
            parse(compose(read_command_line(words), default_size))


@pages
def test_files_of_offline_commands_exist(page: Path) -> None:
    for words in commands(page, "python -m pamiq_lightning"):
        assert words[0] in ("fit", "validate", "test", "predict"), words
        for option, value in itertools.pairwise(words):
            if option == "--config":
                assert (ROOT / value).is_file(), value


@cache
def members() -> dict[str, set[str]]:
    """Return by class name what each class of the packages defines."""
    found: dict[str, set[str]] = {}
    for path in [*ROOT.glob("agent/**/*.py"), *ROOT.glob("pamiq_lightning/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                inner = list(ast.walk(node))
                names = {n.name for n in inner if isinstance(n, ast.FunctionDef)}
                names |= {n.attr for n in inner if isinstance(n, ast.Attribute)}
                names |= {n.id for n in inner if isinstance(n, ast.Name)}
                found.setdefault(node.name, set()).update(names)
    found["Learner"] |= set(dir(LightningModule))
    return found


def test_class_diagram_names_real_classes_and_members() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    diagram = text.split("classDiagram")[1].split("```")[0]
    drawn = re.findall(r"^  class (\w+) \{\n(.*?)^  \}$", diagram, re.MULTILINE | re.DOTALL)
    assert drawn
    for name, body in drawn:
        for line in body.split():
            if not line.startswith("<<"):
                assert line.removesuffix("()") in members()[name], f"{name}.{line}"
    for left, right in re.findall(r"^  (\w+) [-.<|>]+ (?:\"\w+\" )?(\w+)", diagram, re.MULTILINE):
        assert left in members(), left
        assert right in members(), right


def test_where_is_what_names_real_files_and_names() -> None:
    text = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    table = text.split("## Where is what")[1].split("##")[0]
    rows = re.findall(r"^\| (.*?\?) \| `([^`]+)`(?:, `([\w.]+)`)?.*\|$", table, re.MULTILINE)
    assert len(rows) == 15
    for question, path, name in rows:
        assert (ROOT / path).exists(), question
        if name:
            cls, _, member = name.partition(".")
            assert member in members()[cls], question


def test_readme_has_the_two_commands_in_one_line_each() -> None:
    for page in ("README.md", "README.ja.md"):
        lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
        assert "pip install -e . && python -m agent.run conf=japan_street" in lines
        assert "pip install -e '.[dev]' && pytest" in lines


def test_rewards_page_lists_every_reward() -> None:
    text = (ROOT / "docs/rewards.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+\.\w+)` \|", text, re.MULTILINE))
    folder = ROOT / "pamiq_lightning/curiosity"
    defined = {
        f"{path.stem}.{name}"
        for path in folder.glob("*.py")
        for name in re.findall(r"^class (\w+)\(Curiosity\)", path.read_text(), re.MULTILINE)
    }
    assert named == defined
