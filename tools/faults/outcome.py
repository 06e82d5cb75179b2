"""What one kind of fault led to, against its limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """One row of the table.

    Attributes:
        fault: number and what is injected.
        required: the limit, in words.
        limit: largest value that passes.
        unit: of the values.
        values: one per trial; None where the event never came.
        notes: further facts.
        skipped: why it was not injected; empty if it was.
    """

    fault: str
    required: str
    limit: float
    unit: str
    values: list[float | None] = field(default_factory=list)
    notes: str = ""
    skipped: str = ""

    @property
    def passed(self) -> bool:
        """Whether every trial was within the limit, or the machine allowed none."""
        if self.skipped:
            return True
        return bool(self.values) and all(v is not None and v <= self.limit for v in self.values)

    def row(self) -> tuple[str, ...]:
        """Return fault, requirement, trials, median, worst, verdict."""
        known = sorted(value for value in self.values if value is not None)
        missed = len(self.values) - len(known)
        median = f"{known[len(known) // 2]:.3g}" if known else "-"
        worst = f"{known[-1]:.3g} {self.unit}" if known else "-"
        return (
            self.fault,
            self.required,
            str(len(self.values)),
            median,
            worst + (f", {missed} never" if missed else ""),
            "skipped" if self.skipped else "pass" if self.passed else "FAIL",
            self.skipped or self.notes,
        )


def render(outcomes: Sequence[Outcome]) -> str:
    """Return the rows as a Markdown table."""
    head = ("fault", "required", "trials", "median", "worst", "verdict", "notes")
    lines = [head, ("---",) * len(head), *(outcome.row() for outcome in outcomes)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
