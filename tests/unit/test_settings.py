"""Wrong settings are refused at start, by name."""

from __future__ import annotations

import pytest

from synctables.errors import ConfigurationError
from synctables.settings import load_settings


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("SYNCTABLES_LOG_LEVEL", "loud", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("SYNCTABLES_DATABASE_URL", "s3cret", "a libpq address"),
        ("SYNCTABLES_DATABASE_URL", "postgresql://a:s3cret@h:port@/x?y", "a libpq address"),
        ("SYNCTABLES_ALLOWED_NETWORKS", "10.0.0.0/8, intranet", "'intranet'"),
        ("SYNCTABLES_MINIMUM_INTERVAL_SECONDS", "0", "greater than or equal to 1"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"Wrong settings: {variable}: ")
    assert reason in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_log_level_may_be_written_small_and_an_empty_variable_is_unset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SYNCTABLES_LOG_LEVEL", "debug")
    monkeypatch.setenv("SYNCTABLES_DATABASE_URL", "")
    settings = load_settings()
    assert (settings.log_level, settings.database_url) == ("DEBUG", None)
