"""A bucket for each account: how often it may call, and when again."""

from __future__ import annotations

from uuid import uuid4

import pytest

from synctables.api.rate_limits import MOST_BUCKETS, RateLimits
from synctables.errors import TooManyCallsError


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_without_a_limit_nobody_is_limited() -> None:
    limits, account = RateLimits(None), uuid4()
    for _ in range(10_000):
        limits.take(account)


def test_a_bucket_empties_and_fills_again_evenly() -> None:
    clock, account = Clock(), uuid4()
    limits = RateLimits(30, clock=clock)
    for _ in range(30):
        limits.take(account)
    with pytest.raises(TooManyCallsError, match="30 calls a minute") as refused:
        limits.take(account)
    assert refused.value.retry_after_seconds == 2
    clock.now += 2
    limits.take(account)
    with pytest.raises(TooManyCallsError):
        limits.take(account)
    clock.now += 3600
    for _ in range(30):
        limits.take(account)


def test_accounts_do_not_share_a_bucket() -> None:
    limits = RateLimits(1, clock=Clock())
    limits.take(uuid4())
    limits.take(uuid4())


def test_a_refused_call_takes_nothing() -> None:
    clock, account = Clock(), uuid4()
    limits = RateLimits(1, clock=clock)
    limits.take(account)
    for _ in range(5):
        clock.now += 10
        with pytest.raises(TooManyCallsError):
            limits.take(account)
    clock.now += 10
    limits.take(account)


def test_memory_is_bounded() -> None:
    limits = RateLimits(5, clock=Clock())
    for _ in range(MOST_BUCKETS + 10):
        limits.take(uuid4())
    assert len(limits._buckets) == MOST_BUCKETS
