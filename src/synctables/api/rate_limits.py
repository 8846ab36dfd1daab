"""How often an account may call: a bucket of tokens for each, in this process.

In the process, because a limit protects the process and the database behind it, and must not cost
what it is to save: a bucket in the database would be one more write for every call. Several API
processes therefore grant their limit each.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

from synctables.errors import TooManyCallsError

MOST_BUCKETS = 10_000
"""Of the accounts that called last. Who is forgotten has not called for long, so has all tokens."""


class RateLimits:
    """A bucket fills evenly to ``calls_per_minute`` tokens; each call takes one of them.

    None: nobody is limited. ``clock`` gives seconds.
    """

    def __init__(
        self, calls_per_minute: int | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity = calls_per_minute
        self._clock = clock
        self._buckets: OrderedDict[UUID, tuple[float, float]] = OrderedDict()

    def take(self, account_id: UUID) -> None:
        """Count a call. Raises `TooManyCallsError` where the bucket is empty."""
        if self._capacity is None:
            return
        now, per_second = self._clock(), self._capacity / 60
        tokens, filled_at = self._buckets.pop(account_id, (self._capacity, now))
        tokens = min(self._capacity, tokens + (now - filled_at) * per_second)
        is_allowed = tokens > 1 - 1e-6  # six times a sixth is a little less than 1
        self._buckets[account_id] = (tokens - is_allowed, now)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        if not is_allowed:
            raise TooManyCallsError(
                f"This account may make {self._capacity:,} calls a minute. Try again later.",
                retry_after_seconds=max(1, math.ceil((1 - tokens) / per_second)),
            )
