"""How many features to ask for at once: pure."""

from __future__ import annotations

_START = 100
_MOST = 2_000
_LONGEST_CALM = 32
_MOST_FAILURES_IN_A_ROW = 12
_MOST_FAILURES_AT_ONE = 4


class BlockSize:
    """Begins moderately, doubles while all goes well, halves on failure; never below 1.

    After each failure it takes twice as many good pages before it doubles again, so that a server
    with a limit of its own is not run against it every other time.
    """

    def __init__(self, *, most: int | None = None, start: int = _START) -> None:
        self._most = max(1, min(most or _MOST, _MOST))
        self.size = min(start, self._most)
        self.failures_in_a_row = 0
        self._failures_at_one = 0
        self._calm = 1
        self._good_pages = 0

    def grow(self) -> None:
        """A page came as asked."""
        self.failures_in_a_row = self._failures_at_one = 0
        self._good_pages += 1
        if self._good_pages >= self._calm:
            self.size = min(self.size * 2, self._most)
            self._good_pages = 0

    def shrink(self) -> bool:
        """A page failed. False: there is no sense in another attempt."""
        self.failures_in_a_row += 1
        if self.size == 1:
            self._failures_at_one += 1
        self.size = max(1, self.size // 2)
        self._calm = min(self._calm * 2, _LONGEST_CALM)
        self._good_pages = 0
        return (
            self._failures_at_one < _MOST_FAILURES_AT_ONE
            and self.failures_in_a_row < _MOST_FAILURES_IN_A_ROW
        )
