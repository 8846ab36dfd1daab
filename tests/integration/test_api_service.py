"""The API as a whole: health, its description, what is not there, and a database that is away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from synctables.api.openapi import render
from tests.support.api_server import serve_api
from tests.support.outage import away

if TYPE_CHECKING:
    from synctables.localpg import LocalCluster
    from tests.support.api_server import ApiAccount, ApiServer

COMMITTED = Path(__file__).parents[2] / "schemas" / "openapi.json"


def test_the_committed_description_is_current() -> None:
    assert COMMITTED.read_text() == render(), (
        "write it anew: python -m synctables.api.openapi > schemas/openapi.json"
    )


def test_the_served_description_is_the_committed_one(shared_server: ApiServer) -> None:
    answer = shared_server.call("GET", "/openapi.json")

    assert answer.json() == json.loads(COMMITTED.read_text())
    assert "422" not in answer.text


def test_health_tells_database_queue_and_heartbeat(api_server: ApiServer) -> None:
    answer = api_server.call("GET", "/health")
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "status": "degraded",
            "database": "ok",
            "queue": {"todo": 0, "doing": 0, "failed": 0, "stalled": 0, "waiting": 0},
            "workers": 0,
            "oldest_heartbeat_seconds": None,
            "oldest_due_seconds": None,
            "orphans": {"syncs": 0, "tables": 0},
        },
    )
    api_server.create_account("alice").create_sync()
    api_server.query(
        "INSERT INTO procrastinate_workers (last_heartbeat)"
        " VALUES (now() - interval '100 s'), (now())"
    )
    health = api_server.call("GET", "/health/").json()
    assert (health["status"], health["workers"], health["queue"]["todo"]) == ("ok", 1, 1)
    assert 100 <= health["oldest_heartbeat_seconds"] < 110


def test_health_tells_what_is_overdue_stalled_and_left_over(api_server: ApiServer) -> None:
    api_server.create_account("alice").create_sync()
    for accident in (
        "UPDATE procrastinate_jobs SET status = 'doing'",
        "UPDATE syncs SET run_at = now() - interval '100 s'",
        "CREATE TABLE synctables_work.new_00000000000000000000000000000000 ()",
    ):
        api_server.query(accident)
    health = api_server.call("GET", "/health").json()
    assert health["queue"] | {"failed": 0} == {
        "todo": 0,
        "doing": 1,
        "failed": 0,
        "stalled": 1,
        "waiting": 0,
    }
    assert 100 <= health["oldest_due_seconds"] < 110
    assert health["orphans"] == {"syncs": 0, "tables": 1}
    api_server.query("DELETE FROM runs")
    assert api_server.call("GET", "/health").json()["orphans"]["syncs"] == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api", 404),
        ("GET", "/api/v1", 404),
        ("GET", "/api/v1/nowhere", 404),
        ("GET", "/api/v2/synchronizations", 404),
        ("GET", "/docs", 404),
        ("GET", "/user/a/b", 404),
        ("GET", "/%00", 404),
        ("GET", "/api/v1/synchronizations/../../../etc/passwd", 404),
        ("POST", "/health", 405),
        ("DELETE", "/api/v1/synchronizations", 405),
        ("PATCH", "/api/v1/synchronizations/1", 405),
        ("POST", "/api/v1/synchronizations/1/sync_now", 405),
    ],
)
def test_what_is_not_there_is_said_in_json(
    shared_server: ApiServer, method: str, path: str, status: int
) -> None:
    answer = shared_server.call(method, path)

    assert answer.status_code == status
    assert isinstance(answer.json()["errors"], str)
    if status == 405:
        assert answer.headers["Allow"]


def test_a_host_that_is_no_host_does_not_matter(api: ApiAccount) -> None:
    for host in ("[", "a b", "é".encode(), "x" * 5000, "a:b:c"):
        answer = api.call("GET", "nowhere", headers={"Host": host})
        assert answer.status_code == 404


def test_without_its_database_the_api_answers_503_and_then_recovers(
    database_url: str, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("calls.CONNECTION", "health.DATABASE"):
        monkeypatch.setattr(f"synctables.api.{module}_TIMEOUT_SECONDS", 1.0)
    with serve_api(database_url) as server:
        alice = server.create_account("alice")
        alice.create_sync()
        away(cluster, database_url, is_away=True)
        health = server.call("GET", "/health")
        assert (health.status_code, health.json()["status"]) == (503, "unavailable")
        for method, path in (("GET", "synchronizations"), ("POST", "synchronizations")):
            answer = alice.call(method, path, json={"url": "https://example.org/a"})
            assert answer.status_code == 503
            assert answer.json()["errors"].startswith("The database does not answer")
            assert answer.headers["Retry-After"]
        away(cluster, database_url, is_away=False)
        assert until_ok(alice)["total_entries"] == 1


def until_ok(api: ApiAccount) -> dict[str, Any]:
    """The first answer that is no 503: the pool reconnects by itself, backing off."""
    for _ in range(20):
        answer = api.call("GET", "synchronizations")
        if answer.status_code != 503:
            break
    found: dict[str, Any] = answer.json()
    return found
