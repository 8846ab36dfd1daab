"""The clock of this process' machine, put forward or back while it runs.

What a process asks for the time of day changes (`time.time`, ``datetime.now``); what it measures
durations with does not, as with a real clock that is set.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta, tzinfo
from typing import Any

_true_time = time.time


def shift_clock(seconds: float) -> None:
    """From now on, it is so much later in this process than in the world."""
    shift = timedelta(seconds=seconds)

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + shift

    time.time = lambda: _true_time() + seconds
    for name, module in list(sys.modules.items()):
        is_ours = name.partition(".")[0] in ("synctables", "procrastinate")
        if is_ours and vars(module).get("datetime") is datetime:
            vars(module)["datetime"] = Shifted
