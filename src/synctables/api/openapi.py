"""The API's description, made of its routes: served at ``/openapi.json``, kept in ``schemas/``.

``python -m synctables.api.openapi > schemas/openapi.json`` writes it anew.
"""

import json
import sys
from typing import Any

from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from synctables import __version__
from synctables.api.descriptions import REFERENCE
from synctables.api.parameters import (
    ChangeParameters,
    CreateParameters,
    ForceParameters,
    ImportParameters,
    PreviewAddressParameters,
    PreviewParameters,
)
from synctables.api.routes import ROUTERS

_PARAMETERS = (
    CreateParameters,
    ChangeParameters,
    ForceParameters,
    ImportParameters,
    PreviewParameters,
    PreviewAddressParameters,
)
_SECURITY_SCHEMES = {
    "api_key": {"type": "apiKey", "in": "query", "name": "api_key"},
    "basic": {"type": "http", "scheme": "basic", "description": "account name and API key"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "API key"},
}
_DESCRIPTION = """\
A remote file becomes a PostGIS table that stays equal to the file.

The account is named by path (`/user/NAME/api/v1/…`), by sub-domain, or by its API key alone. \
The key goes in the query or the body as `api_key`, in HTTP Basic, or as a Bearer token. \
Parameters may stand in the query, in a JSON body or in a form; the body wins. A slash at the end \
of a path is ignored. Errors are `{"errors": "text"}`, on imports \
`{"errors": {"imports": "text"}}`."""


def describe() -> dict[str, Any]:
    """The OpenAPI document of all routes of the API."""
    document = get_openapi(
        title="Synctables",
        version=__version__,
        description=_DESCRIPTION,
        routes=[route for router in ROUTERS for route in router.routes],
    )
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)  # this API answers 400
            if path not in ("/health", "/metrics"):
                operation["security"] = [{name: []} for name in _SECURITY_SCHEMES]
    components = document["components"]
    components["securitySchemes"] = _SECURITY_SCHEMES
    components["schemas"] = dict(
        sorted({**components["schemas"], **_describe_parameters()}.items())
    )
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    return document


def _describe_parameters() -> dict[str, Any]:
    """Schemas of the parameters, which the routes refer to without FastAPI's knowledge."""
    _, schema = models_json_schema(
        [(model, "validation") for model in _PARAMETERS], ref_template=REFERENCE
    )
    definitions: dict[str, Any] = schema["$defs"]
    return definitions


def render() -> str:
    """The document as it is committed."""
    return json.dumps(describe(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
