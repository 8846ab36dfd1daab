"""What the doctor says of the work, and which workspaces count as left over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from synctables.cli.work_diagnosis import Work, examine_work, examine_workspaces
from synctables.importer.workspace_owners import claim_workspaces, sweep_workspaces

HEALTH: dict[str, Any] = {
    "queue": {"todo": 1, "doing": 2, "failed": 0, "stalled": 0, "waiting": 4},
    "oldest_due_seconds": None,
    "orphans": {"syncs": 0, "tables": 0},
}


@pytest.mark.parametrize(
    ("change", "subject", "ok", "detail"),
    [
        ({}, "clock", True, "nothing is overdue"),
        ({"oldest_due_seconds": 12.4}, "clock", True, "overdue for 12 s"),
        ({"oldest_due_seconds": 7200.0}, "clock", False, "overdue for 2 h"),
        ({}, "queue", True, "1 jobs to do, 2 being done, 0 stalled; 4 runs wait"),
        ({"queue": HEALTH["queue"] | {"stalled": 3}}, "queue", False, "3 stalled"),
        ({}, "left over", True, "nothing"),
        ({"orphans": {"syncs": 0, "tables": 2}}, "left over", False, "2 half-made tables"),
        ({"orphans": {"syncs": 5, "tables": 0}}, "left over", False, "5 syncs"),
    ],
)
def test_the_doctor_tells_what_is_overdue_stalled_and_left_over(
    change: dict[str, Any], subject: str, ok: bool, detail: str
) -> None:
    work = Work.of_health(HEALTH | change)
    assert work is not None
    found = {one.subject: one for one in examine_work(work)}[subject]
    assert found.ok is ok
    assert detail in found.detail
    assert bool(found.remedy) is not ok


def test_a_server_without_its_database_says_nothing_of_the_work() -> None:
    assert Work.of_health(HEALTH | {"queue": None}) is None


def test_only_folders_whose_process_is_gone_are_left_over(tmp_path: Path) -> None:
    root = tmp_path / "workspaces"
    assert examine_workspaces(tmp_path).ok
    program = (
        "import sys; from pathlib import Path;"
        "from synctables.importer.workspace_owners import claim_workspaces;"
        "claim_workspaces(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", program, str(root)], check=True)
    assert examine_workspaces(tmp_path).detail == "1 of workers that are gone"
    own = claim_workspaces(root)
    (root / f"{own.name}0").mkdir()  # our number at another time: a process of long ago
    assert sweep_workspaces(root) == 1
    assert list(root.iterdir()) == [own]
