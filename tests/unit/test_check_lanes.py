"""Who is asked when at a host, who is put off by its silence, and what makes a batch."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

from synctables.datasources.base import SourceVersion
from synctables.datasources.source import Source
from synctables.errors import DownloadError, DownloadTimeoutError
from synctables.syncs.check_rows import Target
from synctables.syncs.checks import Lane, in_turns
from synctables.syncs.claims import BATCH, Due, make_batches


def lane_of_two(own: int, others: int) -> tuple[Lane, Target]:
    def target(account: int) -> Target:
        return Target(
            sync_id=uuid4(),
            account_id=UUID(int=account),
            source=Source(url="http://h/a"),
            version=SourceVersion(etag='"1"'),
            lane="h",
        )

    targets = deque([target(1) for _ in range(own)] + [target(2) for _ in range(others)])
    return Lane(name="h", targets=targets), target(1)


def test_one_accounts_bad_luck_with_a_host_puts_others_off_and_not_for_long() -> None:
    lane, asked = lane_of_two(2, 3)
    another = replace(asked, account_id=UUID(int=3))
    busy = DownloadError("busy", retry_after_seconds=7200)
    for _ in range(2):
        pauses = [one.put_off for one in lane.give_up_after(asked, busy)]
        assert pauses == [timedelta(hours=2)] * 2
        assert {one.account_id for one in lane.targets} == {UUID(int=2)}
        lane.targets.extend([asked, asked])
    pauses = [one.put_off for one in lane.give_up_after(another, busy)]
    assert pauses == [timedelta(minutes=15)] * 5
    assert not lane.targets

    lane, asked = lane_of_two(2, 3)
    silence = DownloadTimeoutError("nothing")
    assert [lane.give_up_after(asked, silence) for _ in range(5)] == [[]] * 5
    found = lane.give_up_after(asked, silence)
    assert [one.put_off for one in found] == [None] * 2 + [timedelta(minutes=1)] * 3
    assert {str(one.outcome.error) for one in found if one.outcome} == {
        "h answered none of the last 6 checks."
    }


def test_an_answer_of_any_kind_ends_the_silence_of_a_host() -> None:
    lane, asked = lane_of_two(1, 1)
    for _ in range(3):
        for _ in range(5):
            assert lane.give_up_after(asked, DownloadTimeoutError("nothing")) == []
        assert lane.give_up_after(asked, DownloadError("500")) == []
    assert len(lane.targets) == 2


def test_accounts_take_turns_at_a_host() -> None:
    lane, _ = lane_of_two(40, 3)
    first = [target.account_id.int for target in in_turns(lane.targets)[:6]]
    assert [sorted(first[at : at + 2]) for at in (0, 2, 4)] == [[1, 2]] * 3


def due(lane: str, ranks: range) -> list[Due]:
    return [Due(id=uuid4(), lane=lane, rank=rank) for rank in ranks]


def test_a_batch_is_of_one_host_and_those_further_back_in_line_come_later() -> None:
    long, small = due("long", range(BATCH + 50)), [due(f"h{n}", range(2))[0] for n in range(70)]
    found = make_batches([*reversed(long), *small])
    assert [(one.lane, len(one.due), one.priority) for one in found] == [
        ("long", BATCH, 0),
        ("long", 50, -1),
        (None, 70, 0),
    ]
    behind = due("late", range(5000, 5020))
    assert [one.priority for one in make_batches(behind)] == [-20]
