"""Browser sessions: what is signed, and that nothing else is believed."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synctables.accounts.sessions import read_session, sign_session

_KEY_ID = UUID("12345678-1234-5678-1234-567812345678")
_ENDS_AT = datetime(2026, 11, 30, 12, tzinfo=UTC)


def test_a_session_says_which_key_and_until_when() -> None:
    session = sign_session(_KEY_ID, key_sha256=b"x" * 32, ends_at=_ENDS_AT)
    assert read_session(session) == (_KEY_ID, int(_ENDS_AT.timestamp()))


def test_another_key_signs_otherwise() -> None:
    first, second = (
        sign_session(_KEY_ID, key_sha256=key * 32, ends_at=_ENDS_AT) for key in (b"x", b"y")
    )
    assert first != second


@pytest.mark.parametrize(
    "session",
    ["", ".", "..", "a.1.b", f"{_KEY_ID.hex}.-1.b", f"{_KEY_ID.hex}.{'9' * 99}.b", "é.1.b"],
)
def test_what_is_no_session_claims_nothing(session: str) -> None:
    assert read_session(session) is None


@given(st.text())
def test_any_text_can_be_read(session: str) -> None:
    read_session(session)
