"""``synctables doctor`` beside a running ``serve``: what it says of the walls around the reader."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from synctables.importer.confine import WALLS
from synctables.importer.workspace_owners import WORKSPACES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.serve_process import ServeProcess

STATE = r"active: \S.*|not active: \w+: \S.*"
LEFT_OVER = {"workspaces", "reading processes"}


def test_every_wall_is_named_as_active_or_with_the_reason_why_not(
    serve: Callable[..., ServeProcess],
) -> None:
    server = serve()
    told = server.command("doctor")
    listed = server.command("doctor", "--json")

    assert told.returncode == listed.returncode
    findings = {one["subject"]: one for one in json.loads(listed.stdout)}
    assert {f"sandbox, {wall}" for wall in WALLS} | LEFT_OVER <= set(findings)
    for wall in WALLS:
        finding = findings[f"sandbox, {wall}"]
        assert finding["ok"]
        assert re.fullmatch(STATE, finding["detail"]), finding
        assert re.search(rf"^ok - sandbox, {wall}: ({STATE})$", told.stdout, re.MULTILINE)
    assert findings["sandbox, limits"]["detail"].startswith("active: core cpu fsize nofile data")
    assert all(findings[subject]["ok"] for subject in LEFT_OVER)


def test_what_a_dead_worker_left_is_named_with_what_mends_it(
    serve: Callable[..., ServeProcess],
) -> None:
    server = serve()
    (server.data_dir / WORKSPACES / "4194305-1").mkdir(parents=True)  # beyond any process id
    told = server.command("doctor")
    assert told.returncode == 1
    assert (
        "MISSING - workspaces: 1 of workers that are gone\n"
        "    The next worker that starts here removes them.\n"
    ) in told.stdout
