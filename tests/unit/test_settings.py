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
        ("SYNCTABLES_OBJECT_STORE_PLACES", "s3://open, ftp://x", "'ftp://x': it begins with"),
        ("SYNCTABLES_OBJECT_STORE_PLACES", "s3://open/../x", "the segment . or .."),
        ("SYNCTABLES_OBJECT_STORE_PLACES", "s3://*", "no valid bucket"),
        ("SYNCTABLES_S3_ENDPOINT", "minio.example.org:9000", "https://storage.example.org"),
        ("SYNCTABLES_S3_ENDPOINT", "https://key:s3cret@example.org", "https://storage.example.org"),
        ("SYNCTABLES_GCS_ENDPOINT", "ftp://example.org", "https://storage.example.org"),
        ("SYNCTABLES_AZURE_ENDPOINT", "https://example.org?s3cret", "https://storage.example.org"),
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


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            {"S3_ACCESS_KEY_ID": "s3cret"},
            "SYNCTABLES_S3_ACCESS_KEY_ID and SYNCTABLES_S3_SECRET_ACCESS_KEY belong together",
        ),
        (
            {"S3_SECRET_ACCESS_KEY": "s3cret"},
            "SYNCTABLES_S3_ACCESS_KEY_ID and SYNCTABLES_S3_SECRET_ACCESS_KEY belong together",
        ),
        (
            {"AZURE_ACCOUNT_KEY": "s3cret", "AZURE_SAS_TOKEN": "s3cret"},
            "SYNCTABLES_AZURE_ACCOUNT_KEY and SYNCTABLES_AZURE_SAS_TOKEN exclude each other",
        ),
        (
            {"OBJECT_STORE_PLACES": "az://open"},
            "SYNCTABLES_OBJECT_STORE_PLACES lists az://, which needs SYNCTABLES_AZURE_ACCOUNT",
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_refused_by_all_their_names(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], reason: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"SYNCTABLES_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert str(caught.value) == f"Wrong settings: {reason}"
