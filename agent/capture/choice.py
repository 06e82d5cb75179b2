"""Chooses among windows of the same title: the one that moves must be the one that is seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.capture.base import CaptureError, Rectangle

Takers = Mapping[int, str]
"""Processes that take the agent's inputs: number and name. Empty where they are unknown."""
FindTakers = Callable[[], Takers]
_RELAYS = ("wineserver",)
"""Names of processes that hold sockets for others."""


@dataclass(frozen=True)
class Candidate:
    """A window with the title that is searched for.

    Args:
        handle: for the system.
        area: its client area.
        visible: whether it is on the screen, neither minimised nor hidden.
        process: that owns it; None where it is unknown.
        preferred: before others, whatever their size.
    """

    handle: Any
    area: Rectangle
    visible: bool
    process: int | None
    preferred: bool = False

    def __str__(self) -> str:
        area = self.area
        place = f"{area.width} x {area.height} at {area.left}, {area.top}"
        of = "" if self.process is None else f" of process {self.process}"
        return place + of + ("" if self.visible else ", hidden")


def choose(
    title: str, found: Sequence[Candidate], find_takers: FindTakers
) -> tuple[Candidate, str] | None:
    """Return the visible window that belongs to the takers, else the largest one; and a note.

    The note names all windows where there are several, and says where the takers own none.

    Raises:
        CaptureError: the takers own a window with this title, and it is not visible.
    """
    visible = sorted((each for each in found if each.visible), key=_rank)
    if not visible:
        return None
    takers = find_takers()
    own = [each for each in found if each.process in takers]
    chosen = next((each for each in visible if each in own), None)
    if own and chosen is None:
        raise CaptureError(
            f"The inputs go to {_names(takers)}, whose window {title!r} is minimised or hidden; "
            f"visible is another ({_list(visible)}): show the first again, or send the inputs to "
            "the other (osc_port)."
        )
    notes = []
    if len(visible) > 1:
        why = "which takes the inputs" if chosen else "the largest"
        notes.append(
            f"{len(visible)} windows have this title ({_list(visible)}): the agent sees "
            f"{chosen or visible[0]}, {why}"
        )
    elsewhere = takers and not own and visible[0].process is not None
    if elsewhere and not any(name.startswith(_RELAYS) for name in takers.values()):
        notes.append(
            f"the inputs go to {_names(takers)}, which has no such window: unless it passes them "
            f"on to process {visible[0].process}, the avatar that moves is not the one seen"
        )
    return chosen or visible[0], "; ".join(notes)


def _rank(candidate: Candidate) -> tuple[bool, int]:
    return not candidate.preferred, -candidate.area.width * candidate.area.height


def _names(takers: Takers) -> str:
    return ", ".join(f"{name} (process {number})" for number, name in takers.items())


def _list(candidates: Sequence[Candidate]) -> str:
    return "; ".join(map(str, candidates))
