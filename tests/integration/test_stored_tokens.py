"""Tokens as all workers share them: sealed, renewed once, never lost; on the real database."""

from __future__ import annotations

import io
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from doubles.oauth import Authority, RefusedError
from synctables.accounts.seal import (
    KEY_FILE,
    Seal,
    add_key,
    create_key,
    keep_newest,
    key_file,
    load_seal,
)
from synctables.cli import run
from synctables.datasources.drives.model import OAuthToken
from synctables.datasources.drives.stored_tokens import StoredTokens, find_unreadable, reseal_all
from synctables.errors import ConfigurationError, NotConnectedError
from synctables.localpg import LocalCluster
from synctables.settings import load_settings
from tests.support.outage import away

KEYS = Seal([create_key()])
ACCOUNT = uuid4()

MakeTokens = Callable[..., StoredTokens]


def nowhere(_: OAuthToken) -> None:
    """The service takes the withdrawal."""


@pytest.fixture
def make_tokens(database_url: str) -> MakeTokens:
    """Tokens of one account, as one worker after another opens them."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO synctables.accounts (id, name, reader_role) VALUES (%s, 'alice', 'reader')"
            " ON CONFLICT DO NOTHING",
            [ACCOUNT],
        )

    def make(
        load_keys: Callable[[], Seal] = lambda: KEYS,
        service: str = "box",
        url: str = database_url,
        withdraw: Callable[[OAuthToken], None] = nowhere,
    ) -> StoredTokens:
        return StoredTokens(
            url, load_keys, account_id=ACCOUNT, service=service, title="Box", withdraw=withdraw
        )

    return make


def token(name: str) -> OAuthToken:
    ends = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=1)
    return OAuthToken(access_token=f"{name}-access", refresh_token=name, expires_at=ends)


def renewed(to: OAuthToken) -> Callable[[OAuthToken], OAuthToken]:
    return lambda _: to


def keep(tokens: StoredTokens, given: OAuthToken) -> None:
    """In place of any other."""
    tokens.remove()
    assert tokens.connect(lambda: given)


def cut_connections(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'synctables tokens' AND pid <> pg_backend_pid()"
            " AND datname = current_database()"
        )


def never(*_: OAuthToken) -> OAuthToken:
    raise AssertionError("nobody should ask the service")


def test_a_token_is_kept_replaced_and_forgotten(make_tokens: MakeTokens) -> None:
    tokens = make_tokens()
    assert tokens.find() is None
    with pytest.raises(NotConnectedError, match="not connected to Box"):
        tokens.current()
    keep(tokens, token("one"))
    assert make_tokens().current() == token("one")
    assert make_tokens(service="dropbox").find() is None
    keep(tokens, token("two"))
    tokens.discard(token("one"))
    assert tokens.current() == token("two"), "only the dead one is discarded"
    tokens.discard(token("two"))
    assert tokens.find() is None


def test_what_is_stored_can_be_read_by_nobody_else(
    make_tokens: MakeTokens, database_url: str
) -> None:
    keep(make_tokens(), token("mystery"))
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT oauth_tokens::text FROM synctables.oauth_tokens"
        ).fetchone()
    assert row is not None
    assert "mystery" not in row[0]
    assert b"mystery".hex() not in row[0]
    with pytest.raises(ConfigurationError, match="SYNCTABLES_TOKEN_KEYS"):
        make_tokens(lambda: Seal([create_key()])).current()


def test_a_renewal_that_somebody_else_made_is_taken_over(make_tokens: MakeTokens) -> None:
    keep(make_tokens(), token("old"))
    fresh = make_tokens().renew(token("old"), renewed(token("new")))
    assert fresh == token("new")
    assert make_tokens().renew(token("old"), never) == token("new")


def test_a_service_that_gives_no_new_refresh_token_keeps_the_old_one(
    make_tokens: MakeTokens,
) -> None:
    keep(make_tokens(), token("old"))
    bare = OAuthToken(access_token="new-access")
    make_tokens().renew(token("old"), renewed(bare))
    assert make_tokens().current() == replace(bare, refresh_token="old")


def test_workers_that_renew_a_single_use_token_at_once_never_lose_it(
    make_tokens: MakeTokens,
) -> None:
    """Rounds of eight workers that all find the same token stale, at a service that rotates."""
    authority = Authority(rotates=True)

    def ask(old: OAuthToken) -> OAuthToken:
        assert old.refresh_token is not None
        given = authority.refresh(
            old.refresh_token,
            client_id=authority.client_id,
            client_secret=authority.client_secret,
        )
        return OAuthToken(access_token=given.access_token, refresh_token=given.refresh_token)

    first = authority.grant()
    keep(
        make_tokens(),
        OAuthToken(access_token=first.access_token, refresh_token=first.refresh_token),
    )
    rounds, workers = 5, 8
    barrier = threading.Barrier(workers, timeout=60)

    def work() -> list[OAuthToken]:
        seen = []
        for _ in range(rounds):
            stale = make_tokens().current()
            barrier.wait()
            seen.append(make_tokens().renew(stale, ask))
            barrier.wait()
        return seen

    with ThreadPoolExecutor(workers) as pool:
        seen = [future.result() for future in [pool.submit(work) for _ in range(workers)]]
    assert all(one == seen[0] for one in seen), "in each round all got the same token"
    assert authority.refresh_count == rounds
    assert authority.is_valid(make_tokens().current().access_token)


def test_a_refusal_leaves_the_token_as_it_is(make_tokens: MakeTokens) -> None:
    keep(make_tokens(), token("old"))

    def refuse(_: OAuthToken) -> OAuthToken:
        raise RefusedError("invalid_grant", "no")

    with pytest.raises(RefusedError):
        make_tokens().renew(token("old"), refuse)
    assert make_tokens().current() == token("old")


def test_a_new_token_outlives_a_connection_that_is_lost_before_it_is_stored(
    make_tokens: MakeTokens, database_url: str
) -> None:
    keep(make_tokens(), token("old"))

    def lose_connection(_: OAuthToken) -> OAuthToken:
        cut_connections(database_url)
        return token("new")

    assert make_tokens().renew(token("old"), lose_connection) == token("new")
    assert make_tokens().current() == token("new")


def test_a_new_token_waits_until_the_database_is_back(
    make_tokens: MakeTokens, database_url: str, cluster: LocalCluster
) -> None:
    keep(make_tokens(), token("old"))
    timers: list[threading.Timer] = []

    def lose_database(_: OAuthToken) -> OAuthToken:
        away(cluster, database_url, is_away=True)
        back = partial(away, cluster, database_url, is_away=False)
        timers.append(threading.Timer(0.6, back))
        timers[0].start()
        return token("new")

    assert make_tokens().renew(token("old"), lose_database) == token("new")
    timers[0].join()
    assert make_tokens().current() == token("new")


def test_a_token_that_came_after_its_account_was_disconnected_is_withdrawn_too(
    make_tokens: MakeTokens, database_url: str
) -> None:
    withdrawn: list[OAuthToken] = []
    tokens = make_tokens(withdraw=withdrawn.append)
    keep(tokens, token("old"))

    def lose_connection(_: OAuthToken) -> OAuthToken:
        """And with it the lock, so that the account is disconnected meanwhile."""
        cut_connections(database_url)
        assert make_tokens(withdraw=withdrawn.append).remove()
        return token("new")

    with pytest.raises(NotConnectedError):
        tokens.renew(token("old"), lose_connection)
    assert withdrawn == [token("old"), token("new")]
    assert tokens.find() is None


def test_of_two_renewals_without_a_lock_the_stored_one_counts(
    make_tokens: MakeTokens, database_url: str
) -> None:
    keep(make_tokens(), token("old"))

    def lose_connection(_: OAuthToken) -> OAuthToken:
        cut_connections(database_url)
        make_tokens().renew(token("old"), renewed(token("other")))
        return token("new")

    assert make_tokens().renew(token("old"), lose_connection) == token("other")


def test_of_several_who_come_back_from_the_service_one_redeems(make_tokens: MakeTokens) -> None:
    redeemed: list[str] = []

    def come_back(name: str) -> bool:
        def redeem() -> OAuthToken:
            redeemed.append(name)
            return token(name)

        return make_tokens().connect(redeem)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(come_back, "abcdefgh"))
    assert sorted(results) == [False] * 7 + [True]
    assert make_tokens().current() == token(redeemed[0])
    assert len(redeemed) == 1


def test_a_token_is_withdrawn_before_it_is_forgotten(make_tokens: MakeTokens) -> None:
    withdrawn: list[OAuthToken] = []
    tokens = make_tokens(withdraw=withdrawn.append)
    assert not tokens.remove()
    keep(tokens, token("one"))

    def fail(_: OAuthToken) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        make_tokens(withdraw=fail).remove()
    assert tokens.current() == token("one"), "it is not withdrawn, so it is not forgotten"
    assert tokens.remove()
    assert (withdrawn, tokens.find()) == ([token("one")], None)


def test_keys_are_replaced_while_workers_use_them(
    make_tokens: MakeTokens, database_url: str, tmp_path: Path
) -> None:
    settings = load_settings(data_dir=tmp_path)
    keep(make_tokens(lambda: load_seal(settings)), token("0"))
    first_key = key_file(settings).read_text()
    is_over = threading.Event()

    def work() -> int:
        """Renew again and again, as a worker that was started before any rotation."""
        tokens = make_tokens(lambda: load_seal(settings))
        count = 0
        while not is_over.is_set() or count == 0:
            count += 1
            tokens.renew(tokens.current(), renewed(token(str(count))))
        return count

    def new_keys() -> Seal:
        add_key(key_file(settings))
        return load_seal(settings)

    with ThreadPoolExecutor(1) as pool:
        worker = pool.submit(work)
        try:
            for _ in range(5):
                assert reseal_all(database_url, new_keys).sealed_count == 1
                keep_newest(key_file(settings))
        finally:
            is_over.set()
        count = worker.result()
    assert make_tokens(lambda: load_seal(settings)).current() == token(str(count))
    assert first_key.strip() not in key_file(settings).read_text()
    assert len(key_file(settings).read_text().split()) == 1


def test_a_lost_key_locks_nobody_out(make_tokens: MakeTokens, database_url: str) -> None:
    lost, key = Seal([create_key()]), Seal([create_key()])
    keep(make_tokens(lambda: lost), token("lost"))
    with pytest.raises(ConfigurationError, match="--forget-unreadable"):
        reseal_all(database_url, lambda: key)
    tokens = make_tokens(lambda: key)
    with pytest.raises(ConfigurationError, match="--forget-unreadable"):
        tokens.find()
    (unreadable,) = find_unreadable(database_url, key)
    assert (unreadable.account, unreadable.service) == ("alice", "box")
    assert find_unreadable(database_url, lost) == []
    done = reseal_all(database_url, lambda: key, forgets=[unreadable])
    assert (done.sealed_count, done.forgotten_count) == (0, 1)
    keep(tokens, token("new"))
    done = reseal_all(database_url, lambda: key, forgets=[unreadable])
    assert (done.sealed_count, done.forgotten_count) == (1, 0)
    assert tokens.current() == token("new")


def test_nothing_is_forgotten_unasked(
    make_tokens: MakeTokens,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    keep(make_tokens(lambda: Seal([create_key()])), token("lost"))
    key = create_key()
    monkeypatch.setenv("SYNCTABLES_DATABASE_URL", database_url)
    monkeypatch.setenv("SYNCTABLES_TOKEN_KEYS", key)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run(["rotate-token-key", "--forget-unreadable"]) == 130  # as Ctrl-C would
    assert "No key opens the token of alice at box." in capsys.readouterr().out
    with pytest.raises(ConfigurationError):
        make_tokens(lambda: Seal([key])).find()
    assert run(["rotate-token-key", "--yes"]) == 2
    assert run(["rotate-token-key", "--forget-unreadable", "--yes"]) == 0
    assert "Tokens forgotten: 1." in capsys.readouterr().out
    assert make_tokens(lambda: Seal([key])).find() is None


def test_a_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "new")
    with ThreadPoolExecutor(8) as pool:
        seals = [pool.submit(load_seal, settings) for _ in range(16)]
    sealed = seals[0].result().seal("text")
    assert {seal.result().open(sealed) for seal in seals} == {"text"}
    assert stat.S_IMODE((tmp_path / "new" / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == [KEY_FILE]


def test_keys_of_the_settings_count_and_a_wrong_one_is_said() -> None:
    one, two = create_key(), create_key()
    sealed = Seal([one]).seal("text")
    settings = load_settings(token_keys=f"{two}, {one}")
    assert load_seal(settings).open(sealed) == "text"
    assert Seal([two]).open(load_seal(settings).reseal(sealed)) == "text"
    with pytest.raises(ConfigurationError, match="rotate-token-key --print"):
        load_seal(load_settings(token_keys="secret"))


def test_accounts_take_their_tokens_with_them(make_tokens: MakeTokens, database_url: str) -> None:
    keep(make_tokens(), token("one"))
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM synctables.accounts WHERE id = %s", [UUID(int=ACCOUNT.int)])
    assert make_tokens().find() is None
