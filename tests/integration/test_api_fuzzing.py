"""Calls that nobody thought of, made from the API's own description: none may end in a 5xx."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

if TYPE_CHECKING:
    from tests.support.api_server import ApiAccount

description = schemathesis.openapi.from_path(Path(__file__).parents[2] / "schemas" / "openapi.json")


@pytest.fixture
def known_ids(api: ApiAccount) -> dict[str, str]:
    """Ids that exist, by their names in paths: generated ones would all be unknown."""
    sync = api.create_sync()
    preview = api.call("POST", f"synchronizations/{sync['id']}/preview")
    return {
        "import_id": sync["id"],
        "log_id": sync["log_id"],
        "item_queue_id": sync["data_import"]["item_queue_id"],
        "preview_id": preview.json()["id"],
        "service": "gdrive",
        "code": "no-code",
    }


@description.parametrize()
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_call_ends_in_an_error_of_the_server(
    case: schemathesis.Case[Any], api: ApiAccount, known_ids: dict[str, str]
) -> None:
    case.path_parameters = {name: known_ids[name] for name in case.path_parameters or {}}
    case.call_and_validate(
        base_url=api.base_url,
        headers={"Authorization": f"Bearer {api.api_key}"},
        checks=[
            not_a_server_error,
            response_schema_conformance,
            status_code_conformance,
            content_type_conformance,
        ],
    )
