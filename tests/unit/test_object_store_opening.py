"""How a bucket is opened: what the settings say, no secret in it, and the library only then."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import pytest

from synctables.datasources.object_stores.stores import open_store
from synctables.object_address import Place
from synctables.settings import Settings

SECRETS = {
    "s3_access_key_id": "AKIA",
    "s3_secret_access_key": "s3cret",
    "azure_account": "citydata",
    "azure_account_key": "czNjcmV0",
}


@pytest.mark.parametrize(
    ("place", "settings", "expected"),
    [
        ("s3://open", {}, {"region": "us-east-1", "virtual_hosted_style_request": "true"}),
        ("s3://open", {"s3_region": "eu-west-1"}, {"region": "eu-west-1", "endpoint": None}),
        (
            "s3://open",
            {"s3_endpoint": "https://minio.example.org:9000/"},
            {
                "endpoint": "https://minio.example.org:9000",
                "virtual_hosted_style_request": "false",
            },
        ),
        (
            "s3://open",
            {"s3_endpoint": "https://ceph.example.org", "s3_path_style": False},
            {"endpoint": "https://open.ceph.example.org", "virtual_hosted_style_request": "true"},
        ),
        ("s3://open", {"s3_path_style": True}, {"virtual_hosted_style_request": "false"}),
        ("s3://open", {}, {"skip_signature": "false"}),
        (
            "s3://open",
            {"s3_access_key_id": None, "s3_secret_access_key": None},
            {"skip_signature": "true"},
        ),
        ("gs://open", {}, {"skip_signature": "true", "base_url": None}),
        ("gs://open", {"gcs_endpoint": "http://127.0.0.1:9"}, {"base_url": "http://127.0.0.1:9"}),
        ("az://open", {}, {"account_name": "citydata", "skip_signature": "false"}),
        ("az://open", {"azure_account_key": None}, {"skip_signature": "true"}),
        (
            "az://open",
            {"azure_account_key": None, "azure_sas_token": "?sv=1&sig=s3cret"},
            {"skip_signature": "false"},
        ),
    ],
)
def test_a_bucket_is_opened_as_the_settings_say_and_holds_no_secret(
    place: str, settings: dict[str, Any], expected: dict[str, str | None]
) -> None:
    given = Settings.model_validate(SECRETS | settings)
    store = open_store(Place.parse(place), given, retries=0)
    config: Any = store.config
    assert {name: config.get(name) for name in expected} == expected
    for secret in ("s3cret", "czNjcmV0"):
        assert secret not in repr(store) + repr(config) + repr(store.client_options)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(store)


def test_plain_http_is_spoken_only_where_the_operator_says_so() -> None:
    for endpoint, allowed in (("http://127.0.0.1:9", True), ("https://127.0.0.1:9", False)):
        settings = Settings.model_validate({"s3_endpoint": endpoint})
        options = open_store(Place.parse("s3://open"), settings, retries=0).client_options
        assert options is not None
        assert str(options["allow_http"]).lower() == str(allowed).lower()


def test_the_library_is_imported_when_it_is_used() -> None:
    code = "import sys, synctables.datasources.addresses; sys.exit('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
