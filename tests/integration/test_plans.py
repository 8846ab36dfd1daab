"""Plans over the API and on the command line: what is allowed, shown and refused."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from synctables.accounts.plans import (
    LIMITS,
    Plan,
    change_plan,
    create_plan,
    list_plans,
    remove_plan,
    set_plan,
)
from synctables.accounts.service import create_account, find_account
from synctables.cli import run
from synctables.datasources.source import Source
from synctables.errors import (
    InvalidRequestError,
    PlanLimitError,
    TooManyImportsError,
    UnknownItemError,
)
from synctables.settings import load_settings
from synctables.syncs import service
from synctables.syncs.model import SyncOptions
from synctables.syncs.service import SyncLimits
from tests.support.api_server import serve_api

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from psycopg import AsyncConnection
    from psycopg.rows import DictRow

    from tests.support.api_server import ApiAccount, ApiServer
    from tests.support.workers import Desk

    Connection = AsyncConnection[DictRow]

SYNCS = "synchronizations"
URL = "https://example.org/parks.csv"


def give_plan(api: ApiAccount, **limits: Any) -> str:
    """A plan of the account's own, with these limits."""
    name = f"plan-{api.name}"
    columns, marks = ", ".join(limits), ", ".join(["%s"] * len(limits))
    api.server.query(
        f"INSERT INTO plans (name, {columns}) VALUES (%s, {marks})", name, *limits.values()
    )
    api.server.query("UPDATE accounts SET plan = %s WHERE name = %s", name, api.name)
    return name


async def test_the_plan_of_a_new_account_limits_little(connection: Connection) -> None:
    account, _ = await create_account(connection, name="alice")
    assert account.plan == Plan()
    unlimited = {name for name in LIMITS if getattr(account.plan, name) is None}
    assert unlimited == set(LIMITS) - {"sync_tables", "private_tables", "max_concurrent_imports"}
    limits = SyncLimits.of(load_settings(), account.plan)
    assert (limits.runs_at_once, account.plan.max_concurrent_imports) == (3, 3)
    assert (limits.max_file_bytes, limits.minimum_interval_seconds) == (20_000_000_000, 900)


async def test_a_plan_is_made_changed_given_and_removed(connection: Connection) -> None:
    await create_account(connection, name="alice")
    await create_plan(connection, Plan(name="small", max_rows=10, max_tables=0))
    changed = await change_plan(connection, name="small", changes={"max_rows": None})
    assert changed == Plan(name="small", max_tables=0)
    await set_plan(connection, account="alice", plan="small")
    found = await find_account(connection, name="alice")
    assert found is not None
    assert found.plan == changed
    assert [(plan.name, count) for plan, count in await list_plans(connection)] == [
        ("default", 0),
        ("small", 1),
    ]
    with pytest.raises(InvalidRequestError, match="Accounts have"):
        await remove_plan(connection, name="small")
    await set_plan(connection, account="alice", plan="default")
    await remove_plan(connection, name="small")
    assert [plan.name for plan, _ in await list_plans(connection)] == ["default"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda c: create_plan(c, Plan(name="default")), InvalidRequestError),
        (lambda c: create_plan(c, Plan(name="No")), InvalidRequestError),
        (lambda c: create_plan(c, Plan(name="a", max_rows=0)), InvalidRequestError),
        (lambda c: create_plan(c, Plan(name="a", max_syncs=2**31)), InvalidRequestError),
        (lambda c: create_plan(c, Plan(name="a", max_rows=2**63)), InvalidRequestError),
        (lambda c: change_plan(c, name="no", changes={}), UnknownItemError),
        (lambda c: set_plan(c, account="nobody", plan="default"), UnknownItemError),
        (lambda c: set_plan(c, account="nobody", plan="no"), UnknownItemError),
        (lambda c: remove_plan(c, name="default"), InvalidRequestError),
    ],
)
async def test_what_is_no_plan_is_refused(
    connection: Connection, change: Callable[[Connection], Awaitable[Any]], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await change(connection)
    assert [plan.name for plan, _ in await list_plans(connection)] == ["default"]


def test_plans_on_the_command_line(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYNCTABLES_DATABASE_URL", api_server.database_url)

    def command(*arguments: str, code: int = 0) -> str:
        assert run(list(arguments)) == code
        output = capsys.readouterr()
        return output.err if code else output.out

    limits = ("--syncs", "2", "--interval", "1h", "--file-size", "500MB", "--storage", "2 gb")
    made = command("plan", "create", "small", *limits, "--imports", "none", "--no-sync-tables")
    assert "syncs\t2\ninterval\t1h\nruns\tnone\nimports\tnone\nfile-size\t500MB\n" in made
    assert "sync-tables\tno\n" in made
    shown = json.loads(command("plan", "set", "small", "--sync-tables", "--rows", "9", "--json"))
    assert (shown["sync_tables"], shown["max_rows"], shown["max_syncs"]) == (True, 9, 2)
    assert json.loads(command("plan", "show", "small", "--json")) == shown
    key = json.loads(command("account", "create", "carol", "--plan", "small", "--json"))["api_key"]
    me = api_server.call("GET", "/api/v1/users/me", params={"api_key": key}).json()
    assert (me["plan"], me["limits"]["rows"]) == ("small", 9)
    assert "carol\t" in command("account", "list")
    assert command("account", "set-plan", "carol", "default") == (
        "Account carol has the plan default.\n"
    )
    heading, default, _ = command("plan", "list").splitlines()
    assert heading.split("\t")[:2] == ["plan", "accounts"]
    assert default.split("\t")[:2] == ["default", "1"]
    assert command("plan", "remove", "small") == "Removed the plan small.\n"
    assert "is not a size" in command("plan", "create", "a", "--storage", "2 miles", code=2)
    assert "There is no plan" in command("account", "create", "bob", "--plan", "no", code=1)
    assert "bob" not in command("account", "list")


def test_users_me_shows_plan_limits_and_usage(api: ApiAccount) -> None:
    api.create_sync()
    api.call("POST", "imports", json={"url": URL})
    me = api.call("GET", "users/me").json()
    assert (me["username"], me["plan"]) == (api.name, "default")
    assert me["limits"] == {
        "sync_tables": True, "private_tables": True, "syncs": None, "interval": 900, "runs": 3,
        "imports": 3, "file_bytes": 20_000_000_000, "rows": None, "tables": None,
        "storage_bytes": None, "calls_per_minute": None,
    }  # fmt: skip
    assert me["usage"] == {
        "syncs": 1, "runs": 1, "waiting_runs": 0, "imports": 1, "tables": 0, "storage_bytes": 0
    }  # fmt: skip


def test_a_plan_without_sync_tables_answers_401_but_lists(api: ApiAccount) -> None:
    sync, external = api.create_sync(), api.create_sync()
    api.server.query("UPDATE syncs SET from_external_source = true WHERE id = %s", external["id"])
    name = give_plan(api, sync_tables=False)
    one = f"{SYNCS}/{sync['id']}"
    for method, path, body in (
        ("POST", SYNCS, {"url": URL}),
        ("GET", one, None),
        ("PUT", one, {"interval": 7200}),
        ("DELETE", one, None),
        ("GET", f"{one}/sync_now", None),
        ("PUT", f"{one}/sync_now", None),
        ("GET", f"{one}/log", None),
        ("POST", f"{one}/preview", {}),
    ):
        answer = api.call(method, path, json=body)
        assert answer.status_code == 401, (method, path)
        text = f"Sync tables are not part of this account's plan ({name})."
        assert answer.json() == {"errors": text}
    assert api.call("GET", SYNCS).json()["total_entries"] == 2
    assert api.call("GET", f"{SYNCS}/{external['id']}").status_code == 200
    assert api.call("GET", f"{SYNCS}/{external['id']}/sync_now").status_code == 200
    unknown = f"{SYNCS}/00000000-0000-4000-8000-000000000000"
    assert api.call("GET", unknown).status_code == 404
    assert api.call("POST", "imports", json={"url": URL}).status_code == 200


def test_the_interval_of_a_plan_holds_for_creation_and_change(api: ApiAccount) -> None:
    give_plan(api, minimum_interval_seconds=7200)
    refusal = {"errors": "Invalid interval: Sync interval must be at least 120 minutes"}
    answer = api.call("POST", SYNCS, json={"url": URL, "interval": 3600})
    assert (answer.status_code, answer.json()) == (400, refusal)
    sync = api.create_sync(interval=7200)
    answer = api.call("PUT", f"{SYNCS}/{sync['id']}", json={"interval": 7199})
    assert (answer.status_code, answer.json()) == (400, refusal)
    assert api.call("POST", SYNCS, json={"url": URL}).json()["interval"] == 7200


def test_an_interval_of_a_plan_below_the_servers_changes_nothing(api: ApiAccount) -> None:
    give_plan(api, minimum_interval_seconds=60)
    answer = api.call("POST", SYNCS, json={"url": URL, "interval": 60})
    assert answer.json() == {
        "errors": "Invalid interval: Sync interval must be at least 15 minutes"
    }


def test_more_syncs_than_the_plan_allows_are_403(api: ApiAccount) -> None:
    name = give_plan(api, max_syncs=1)
    sync = api.create_sync()
    answer = api.call("POST", SYNCS, json={"url": URL})
    text = f"This account has as many sync tables as its plan ({name}) allows: 1."
    assert (answer.status_code, answer.json()) == (403, {"errors": text})
    api.call("DELETE", f"{SYNCS}/{sync['id']}")
    api.create_sync()


def test_more_imports_at_once_than_the_plan_allows_are_429(api: ApiAccount) -> None:
    for _ in range(3):
        assert api.call("POST", "imports", json={"url": URL}).status_code == 200
    text = "We're sorry but you're already using your allowed 3 import slots"
    for options in ({"json": {"url": URL}}, {"params": {"filename": "a.csv"}, "data": b"a\n1\n"}):
        answer = api.call("POST", "imports", **options)
        assert (answer.status_code, answer.json()) == (429, {"errors": {"imports": text}})
    api.create_sync()  # the first run of a sync is no import
    api.server.query(
        "UPDATE runs SET state = 'complete', outcome = 'success', finished_at = now()"
        " WHERE id = (SELECT runs.id FROM runs JOIN accounts ON accounts.id = account_id"
        " WHERE name = %s AND sync_id IS NULL LIMIT 1)",
        api.name,
    )
    assert api.call("POST", "imports", json={"url": URL}).status_code == 200


def test_private_tables_may_be_no_part_of_a_plan(api: ApiAccount) -> None:
    name = give_plan(api, private_tables=False)
    answer = api.call("POST", "imports", json={"url": URL, "privacy": "PRIVATE"})
    assert answer.status_code == 400
    assert answer.json()["errors"]["imports"].startswith(
        f"Your account type ({name}) does not allow to create private datasets. "
    )
    assert api.call("POST", "imports", json={"url": URL, "privacy": "link"}).status_code == 200


@pytest.mark.parametrize("is_form", [False, True])
def test_an_upload_larger_than_the_plan_allows_is_refused(api: ApiAccount, is_form: bool) -> None:
    give_plan(api, max_file_bytes=100)
    content = b"a\n" + b"1\n" * 100
    options: dict[str, Any] = (
        {"files": {"file": ("a.csv", content)}}
        if is_form
        else {"params": {"filename": "a.csv"}, "data": content}
    )
    answer = api.call("POST", "imports", **options)
    assert answer.status_code == 400
    assert answer.json()["errors"]["imports"] == (
        "Dataset too big: the file is larger than 100 bytes (error 6666)."
    )


def test_calls_are_limited_where_the_operator_says_so(database_url: str) -> None:
    with serve_api(database_url, api_calls_per_minute=3) as server:
        alice, bob = server.create_account("alice"), server.create_account("bob")
        upload = {"params": {"filename": "a.csv"}, "data": b"a\n1\n"}
        assert alice.call("POST", "imports", **upload).status_code == 200  # counts once
        assert alice.call("GET", "users/me").json()["limits"]["calls_per_minute"] == 3
        assert alice.call("GET", SYNCS).status_code == 200
        refused = alice.call("GET", SYNCS)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "20")
        assert refused.json() == {
            "errors": "This account may make 3 calls a minute. Try again later."
        }
        refused = alice.call("POST", "imports", json={"url": URL})
        assert "3 calls a minute" in refused.json()["errors"]["imports"]
        assert bob.call("GET", SYNCS).status_code == 200
        assert server.call("GET", "/health").status_code == 200


async def test_two_at_once_do_not_both_get_what_is_left(desk: Desk) -> None:
    """The first has not committed when the second asks; the second waits, and is refused."""
    await desk.execute("UPDATE plans SET max_syncs = 1, max_concurrent_imports = 1")
    async with desk.pool.connection() as connection:
        account = await find_account(connection, name="alice")
    assert account is not None

    async def create_sync(connection: Connection) -> object:
        return await service.create_sync(
            connection, desk.jobs_app, account=account, source=Source(url=URL),
            options=SyncOptions(interval_seconds=3600), limits=desk.limits,
        )  # fmt: skip

    async def create_import(connection: Connection) -> object:
        return await service.create_import(
            connection, desk.jobs_app, account=account, source=Source(url=URL), file_name=None,
            options=SyncOptions(interval_seconds=3600), content=None, limits=desk.limits,
        )  # fmt: skip

    async def in_own_transaction(create: Callable[[Connection], Awaitable[object]]) -> object:
        async with desk.pool.connection() as connection:
            return await create(connection)

    for create, error in ((create_sync, PlanLimitError), (create_import, TooManyImportsError)):
        async with desk.pool.connection() as first:
            await create(first)
            second = asyncio.create_task(in_own_transaction(create))
            await _until_blocked(desk)
        with pytest.raises(error):
            await second
    assert await desk.rows("SELECT count(*) FROM syncs") == [(1,)]
    assert await desk.rows("SELECT count(*) FROM runs WHERE sync_id IS NULL") == [(1,)]


async def _until_blocked(desk: Desk) -> None:
    """Until some session waits for a lock of another's."""
    waiting = (
        "SELECT 1 FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"
        " AND datname = current_database()"
    )
    async with asyncio.timeout(20):
        while not await desk.rows(waiting):
            await desk.rows("SELECT pg_sleep(0.02)")  # in the server: nothing tells us
