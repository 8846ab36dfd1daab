"""One run as it goes: which stages took how long, how it ended, and the one event that tells it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog

from synctables.syncs.totals import Total

if TYPE_CHECKING:
    from synctables.importer.model import Stage
    from synctables.syncs.model import Run
    from synctables.syncs.outcomes import Outcome

log = structlog.get_logger(__name__)


class RunStory:
    """What one attempt at a run did; ``began``, ``ended`` and `tell` in this order."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._began_at = time.monotonic()
        self._stages: dict[Stage, float] = {}
        self._end: dict[str, Any] = {"outcome": "unknown"}
        self._is_success = False

    def began(self, stage: Stage) -> None:
        """A stage begins, and with it ends the one before."""
        self._stages[stage] = time.monotonic()

    def ended(self, outcome: Outcome) -> None:
        """How the run ends, as far as is known; what comes later replaces it."""
        report = outcome.report
        self._is_success = outcome.is_success
        self._end = {
            "outcome": outcome.kind.value,
            "code": outcome.error.code if outcome.error else None,
            "error": None if outcome.is_success else outcome.message,
            "http_status": outcome.http_status,
            "bytes": report.get("bytes"),
            "rows": report.get("rows"),
            "tables": list(outcome.table_names),
            "ways": [table["way"] for table in report.get("tables", ())],
        }

    def left(self, how: str) -> None:
        """The attempt ends without the run: it was handed back, or belongs to another worker."""
        self._is_success = True
        self._end = {"outcome": how}

    def stage_seconds(self) -> dict[str, float]:
        """Seconds of each stage until the next began, of the last one until now."""
        marks = [*self._stages.values(), time.monotonic()]
        return {
            stage.value: round(end - begin, 3)
            for stage, begin, end in zip(self._stages, marks, marks[1:], strict=False)
        }

    def tell(self) -> None:
        """The run's event, with everything that one may want to search for."""
        run = self._run
        tell = log.info if self._is_success else log.warning
        tell(
            "run_ended",
            **self._end,
            seconds=round(time.monotonic() - self._began_at, 3),
            stage_seconds=self.stage_seconds(),
            attempt=run.attempt_count + 1,
            is_forced=run.is_forced,
            service=run.source.service_name,
        )


def count_run(run: Run, outcome: Outcome) -> dict[tuple[Total, str], float]:
    """What the end of a run adds to the totals."""
    report = outcome.report
    counted: dict[tuple[Total, str], float] = {
        (Total.RUNS if run.sync_id else Total.IMPORTS, outcome.kind.value): 1,
        (Total.BYTES, ""): report.get("bytes") or 0,
    }
    if outcome.error is not None:
        counted[Total.ERRORS, str(outcome.error.code)] = 1
    for kind in ("inserted", "updated", "deleted"):
        counted[Total.ROWS, kind] = report.get("rows", {}).get(kind, 0)
    for stage, seconds in outcome.stage_seconds.items():
        counted[Total.STAGE_SECONDS, stage] = seconds
        counted[Total.STAGES, stage] = 1
    return counted
