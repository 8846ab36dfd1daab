"""What /metrics tells, to whom, and that it is the same from every process."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from synctables.settings import load_settings
from synctables.syncs.recovery import STALLED_AFTER_SECONDS
from synctables.syncs.vital_signs import read_vital_signs
from tests.support.api_server import serve_api
from tests.support.workload import make_due

if TYPE_CHECKING:
    import requests

    from tests.support.file_server import FileServer
    from tests.support.workers import Desk

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "monitoring.md"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(answer: requests.Response) -> Samples:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def metric_names(text: str) -> set[str]:
    """The names of all series, of those too that have none at this moment."""
    endings = {"counter": ("_total",), "summary": ("_sum", "_count"), "gauge": ("",)}
    return {
        family.name + ending
        for family in text_string_to_metric_families(text)
        for ending in endings[family.type]
    }


def metrics_of_guide() -> dict[str, set[str]]:
    """Every name in the first column of the guide's table, with its labels.

    ``…_count`` stands for the name before it with another ending, and has its labels.
    """
    found: dict[str, set[str]] = {}
    name, labels = "", set[str]()
    for row in re.findall(r"^\| (`.+?) \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE):
        for term, named in re.findall(r"`([\w…]+)(?:\{([\w,]+)\})?`", row):
            if term.startswith("…"):
                name = name.rpartition("_")[0] + term[1:]
            else:
                name, labels = term, set(filter(None, named.split(",")))
            found[name] = labels
    return found


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((f"synctables_{name}", frozenset(labels.items())))


async def test_what_runs_did_is_told_by_any_process(
    desk: Desk, file_server: FileServer, worker: None, database_url: str
) -> None:
    sync, _ = await desk.add(file_server.put("/a.csv", b"id,n\n1,a\n2,b\n3,c\n", etag='"1"'))
    file_server.put("/a.csv", b"id,n\n1,a\n2,x\n4,d\n5,e\n", etag='"2"')
    await desk.force(sync.id)
    await desk.force(sync.id)  # not modified
    await desk.add(file_server.put("/gone.csv", status=404))
    answers = []
    for _ in range(2):
        with serve_api(database_url) as server:
            answers.append(samples(server.call("GET", "/metrics")))
    found, again = answers
    assert value(found, "database_up") == 1
    assert value(found, "runs_total", outcome="success") == 2
    assert value(found, "runs_total", outcome="not_modified") == 1
    assert value(found, "runs_total", outcome="terminal") == 1
    assert value(found, "run_errors_total", code="1100") == 1
    assert value(found, "syncs_failing", code="1100") == 1
    rows = {kind: value(found, "rows_total", kind=kind) for kind in ("inserted", "deleted")}
    assert rows["inserted"] is not None
    assert rows["inserted"] - (rows["deleted"] or 0) == 4
    assert value(found, "imported_bytes_total") == 38
    assert value(found, "stage_seconds_count", stage="apply") == 2
    assert value(found, "stage_seconds_count", stage="fetch") == 4
    assert (value(found, "stage_seconds_sum", stage="fetch") or 0) > 0
    assert value(found, "due_syncs") == 0
    assert value(found, "due_lag_seconds") == 0
    assert value(found, "runs_unfinished", phase="waiting") == 0
    assert (value(found, "workers_alive") or 0) >= 3
    totals = {key: count for key, count in found.items() if key[0].endswith(("_total", "_sum"))}
    assert totals == {key: again[key] for key in totals}
    assert "alice" not in str(found)


async def test_a_check_that_finds_nothing_new_is_counted_as_that(
    desk: Desk, file_server: FileServer, worker: None, database_url: str
) -> None:
    sync, _ = await desk.add(file_server.put("/a.csv", b"id,n\n1,a\n", etag='"1"'))
    due_at = datetime.now(UTC)
    await make_due(desk, sync.id, at=due_at)

    async def is_checked() -> bool | None:
        return (await desk.sync(sync.id)).run_at > due_at or None

    await desk.until(is_checked)
    with serve_api(database_url) as server:
        found = samples(server.call("GET", "/metrics"))
    checks = {key: count for key, count in found.items() if key[0] == "synctables_checks_total"}
    assert checks == {("synctables_checks_total", frozenset({("outcome", "not_modified")})): 1}


async def test_every_queue_of_a_worker_gives_signs_of_life(
    desk: Desk, worker: None, database_url: str
) -> None:
    async def has_all() -> bool | None:
        return await desk.rows("SELECT count(*) FROM procrastinate_workers") == [(4,)] or None

    await desk.until(has_all)
    with serve_api(database_url) as server:
        found = samples(server.call("GET", "/metrics"))
    name = "synctables_worker_heartbeat_age_seconds"
    ages = {labels: age for (found_name, labels), age in found.items() if found_name == name}
    assert len(ages) == 4
    assert all({key for key, _ in labels} == {"worker"} for labels in ages)
    assert all(0 <= age < STALLED_AFTER_SECONDS for age in ages.values())
    assert value(found, "workers_alive") == 4


async def test_the_guide_has_every_metric_with_its_labels_and_no_other(
    desk: Desk, file_server: FileServer, worker: None, database_url: str
) -> None:
    await desk.add(file_server.put("/a.csv", b"id,n\n1,a\n"))
    await desk.add(file_server.put("/gone.csv", status=404))
    with serve_api(database_url) as server:
        found = server.call("GET", "/metrics")
    in_guide = metrics_of_guide()
    assert metric_names(found.text) == set(in_guide)
    told = {name: {label for label, _ in labels} for name, labels in samples(found)}
    assert told == {name: in_guide[name] for name in told}


async def test_what_waits_and_is_due_is_told(desk: Desk, database_url: str) -> None:
    await desk.execute("UPDATE plans SET max_concurrent_runs = 1")
    for name in "abc":
        await desk.add_only(f"http://127.0.0.1:9/{name}.csv")
    await desk.execute(
        "UPDATE syncs SET state = 'success', run_at = now() - interval '90 s'"
        " WHERE url LIKE '%a.csv'"
    )
    await desk.execute("UPDATE plans SET max_storage_bytes = 5")
    with serve_api(database_url, metrics_accounts=True) as server:
        found = samples(server.call("GET", "/metrics"))
    assert value(found, "syncs") == 3
    assert value(found, "due_syncs") == 1
    assert value(found, "due_lag_seconds") == pytest.approx(90, abs=60)
    assert value(found, "orphans", kind="syncs") == 0
    assert value(found, "jobs_stalled") == 0
    assert value(found, "syncs_under_way", state="created") == 2
    assert value(found, "runs_unfinished", phase="waiting") == 2
    assert value(found, "runs_unfinished", phase="queued") == 1
    assert value(found, "jobs", queue="runs", status="todo") == 1
    assert value(found, "account_syncs", account="alice", plan="default") == 3
    assert value(found, "account_waiting", account="alice", plan="default") == 2
    assert value(found, "workers_alive") == 0


@pytest.mark.parametrize(
    ("change", "is_late"),
    [
        pytest.param("UPDATE syncs SET state = 'queued'", True, id="it waits for a worker"),
        pytest.param("UPDATE syncs SET state = 'syncing'", False, id="it is a long run"),
        pytest.param("UPDATE runs SET waits = true", False, id="it waits for its account's turn"),
    ],
)
async def test_late_is_what_another_worker_would_help(
    desk: Desk, change: str, is_late: bool
) -> None:
    sync, _ = await desk.add_only("http://127.0.0.1:9/a.csv")
    await make_due(desk, sync.id, at=datetime.now(UTC) - timedelta(hours=1))
    await desk.execute(change)
    async with desk.pool.connection() as connection:
        lag = (await read_vital_signs(connection)).oldest_due_seconds
    assert (lag is not None) is is_late


def test_no_network_may_be_named() -> None:
    assert load_settings(metrics_networks="").metrics_networks == ()


def test_without_its_database_it_says_so() -> None:
    with serve_api("postgresql://nobody@127.0.0.1:9/none") as server:
        found = samples(server.call("GET", "/metrics", timeout=30))
    assert value(found, "database_up") == 0
    assert value(found, "due_syncs") is None


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        ({}, {}, 200),
        ({}, {"X-Forwarded-For": "127.0.0.1"}, 403),
        ({}, {"Forwarded": "for=127.0.0.1"}, 403),
        ({"metrics_networks": "10.0.0.0/8"}, {}, 403),
        ({"metrics_networks": "10.0.0.0/8,127.0.0.1/32"}, {}, 200),
        ({"metrics_networks": "10.0.0.0/8", "metrics_token": "t0ken"}, {}, 403),
        ({"metrics_token": "t0ken"}, {"Authorization": "Bearer t0ken"}, 200),
        ({"metrics_token": "t0ken"}, {"Authorization": "Bearer wrong"}, 401),
        (
            {"metrics_token": "t0ken", "metrics_networks": "10.0.0.0/8"},
            {"Authorization": "bearer t0ken", "X-Forwarded-For": "203.0.113.9"},
            200,
        ),
    ],
)
def test_who_may_read_is_the_operators_choice(
    session_database_url: str, settings: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    with serve_api(session_database_url, **settings) as server:
        answer = server.call("GET", "/metrics", headers=headers)
    assert answer.status_code == status
    if status != 200:
        assert "SYNCTABLES_METRICS_TOKEN" in answer.json()["errors"]
