"""What the routes tell OpenAPI beside their types: the errors, and bodies they read themselves."""

from typing import Any

from pydantic import BaseModel

from synctables.api.schemas import ImportProblem, Problem

_TEXTS = {
    400: "The call is wrong; the text says why. Nothing was changed.",
    401: "No API key, one that is not valid for this account, or a plan without sync tables.",
    403: "The account's plan allows no more of these.",
    404: "There is no such thing, or it is somebody else's.",
    429: "Too many calls, or too many imports at once.",
    503: "The database does not answer at the moment.",
}
REFERENCE = "#/components/schemas/{model}"


def _problems(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": model, "description": text} for status, text in _TEXTS.items()}


PROBLEMS = _problems(Problem)
IMPORT_PROBLEMS = _problems(ImportProblem)


def parameters_of(model: type[BaseModel], *, takes_file: bool = False) -> dict[str, Any]:
    """``openapi_extra`` of a route that reads ``model`` from query and body itself."""
    schema: dict[str, Any] = {"$ref": REFERENCE.format(model=model.__name__)}
    content = {
        "application/json": {"schema": schema},
        "application/x-www-form-urlencoded": {"schema": schema},
    }
    if takes_file:
        file = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
        content["multipart/form-data"] = {"schema": {"allOf": [schema, file]}}
    return {"requestBody": {"required": False, "content": content}}
