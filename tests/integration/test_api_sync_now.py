"""Runs that are forced over HTTP: refused with a reason and a wait, or queued, and only once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.api_server import ApiAccount, ApiServer


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    "options",
    [{}, {"headers": {"Content-Type": "application/json"}}, {"json": {}}, {"data": ""}],
)
def test_forcing_is_refused_with_reason_and_wait(
    api: ApiAccount, slash: str, options: dict[str, Any]
) -> None:
    sync_id = api.create_sync()["id"]
    answer = api.call("PUT", f"synchronizations/{sync_id}/sync_now{slash}", **options)

    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"enqueued", "synchronization_id", "reason", "retry_after_seconds"}
    assert (body["enqueued"], body["synchronization_id"]) == (False, sync_id)
    assert 0 < body["retry_after_seconds"] <= 900


def end_first_run(server: ApiServer, sync_id: str, *, seconds_ago: int) -> None:
    """As a worker leaves it: the run ended, and so did its job."""
    server.query(
        "UPDATE syncs SET state = 'success', attempted_at = now() - make_interval(secs => %s)"
        " WHERE id = %s",
        seconds_ago,
        sync_id,
    )
    server.query(
        "UPDATE runs SET state = 'complete', outcome = 'success', finished_at = now()"
        " WHERE sync_id = %s",
        sync_id,
    )
    server.query(
        "UPDATE procrastinate_jobs SET status = 'doing' WHERE lock LIKE '%%' || %s", sync_id
    )
    server.query(
        "UPDATE procrastinate_jobs SET status = 'succeeded' WHERE lock LIKE '%%' || %s", sync_id
    )


def test_a_forced_run_is_queued_once_the_last_attempt_is_old(
    api: ApiAccount, shared_server: ApiServer
) -> None:
    sync_id = api.create_sync()["id"]
    end_first_run(shared_server, sync_id, seconds_ago=899)
    path = f"synchronizations/{sync_id}/sync_now"
    assert api.call("PUT", path).json()["enqueued"] is False
    end_first_run(shared_server, sync_id, seconds_ago=901)
    answer = api.call("PUT", path, json={"accept": ["row_loss", "empty"]})

    assert answer.json() == {"enqueued": True, "synchronization_id": sync_id}
    assert api.call("GET", path).json() == {"state": "queued"}
    (run,) = shared_server.query(
        "SELECT accept FROM runs WHERE sync_id = %s AND finished_at IS NULL", sync_id
    )
    assert run["accept"] == ["row_loss", "empty"]


def test_of_many_forced_runs_at_once_one_is_queued(
    api: ApiAccount, shared_server: ApiServer
) -> None:
    sync_id = api.create_sync()["id"]
    end_first_run(shared_server, sync_id, seconds_ago=901)
    path = f"synchronizations/{sync_id}/sync_now"
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: api.call("PUT", path), range(8)))

    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["enqueued"] for answer in answers) == 1


@pytest.mark.parametrize("accept", ["everything", ["x"], [1], {}, 3])
def test_an_unknown_word_to_accept_is_a_400(api: ApiAccount, accept: object) -> None:
    sync_id = api.create_sync()["id"]
    answer = api.call("PUT", f"synchronizations/{sync_id}/sync_now", json={"accept": accept})

    assert answer.status_code == 400
    assert "accept" in answer.json()["errors"]
