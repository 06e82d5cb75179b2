"""F11: the agent's process is stopped for a minute, as by a suspend, and continues."""

from __future__ import annotations

import time

import numpy as np
import psutil

from tools.faults.outcome import Outcome
from tools.faults.subject import RATE_HZ, debug_agent

STOPPED_S = 60.0
BEFORE_S, AFTER_S = 10.0, 15.0


def run(trials: int) -> list[Outcome]:
    """Stop the agent once, whatever the number of trials."""
    extra = Outcome("F11 stopped for 60 s", "at most 1 extra tick", 1, "ticks")
    gap = Outcome("F11 the gap in the recording", "marked: index jumps, is_first", 0, "unmarked")
    with debug_agent() as agent:
        time.sleep(BEFORE_S)
        process = psutil.Process(agent.process.pid)
        process.suspend()
        time.sleep(STOPPED_S)
        process.resume()
        time.sleep(AFTER_S)
        summary = agent.stop()
        steps = agent.steps()
    waits = np.diff(steps["time"].astype(np.float64))
    at = int(np.argmax(waits))
    woke = steps["time"][at + 1]
    soon = int(np.sum((steps["time"] >= woke) & (steps["time"] < woke + 1 / RATE_HZ)))
    # One tick is due in every period; the others are extra.
    extra.values.append(float(max(0, soon - 1)))
    extra.notes = f"the longest wait between two ticks was {waits[at]:.1f} s"
    jumped = int(steps["index"][at + 1]) - int(steps["index"][at])
    marked = jumped > 1 and bool(steps["is_first"][at + 1])
    gap.values.append(0.0 if marked else 1.0)
    gap.notes = f"index jumped by {jumped}; {summary['missed_ticks']} ticks counted as missed"
    return [extra, gap]
