"""Secrets taken out of what is logged and kept: addresses, headers, pairs of name and value.

The last line of defence. Whoever writes a line leaves secrets out of it; libraries, servers and
drivers that we quote do not know what is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

MASK = "***"

_NAMES = (
    r"api[_-]?key|access[_-]?key|secret[_-]?access[_-]?key|access[_-]?token|refresh[_-]?token"
    r"|id[_-]?token|session[_-]?token|auth[_-]?token|client[_-]?secret|code[_-]?verifier"
    r"|private[_-]?key"
)
_MORE_NAMES = (
    r"token|secret|password|passwd|pwd|passphrase|assertion|signature|sealed|credentials?"
    r"|authorization|proxy-authorization|cookie|set-cookie|x-api-key"
)
_EVERY_NAME = rf"(?:\w+[_-])?(?:{_NAMES}|{_MORE_NAMES})"
_SECRET_NAME = re.compile(_EVERY_NAME, re.IGNORECASE)

# Userinfo, query and fragment of any address; what is left names a file and its server.
_ADDRESS = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]{1,20}://)(?P<rest>[^\s\"'<>\\^`{|}]+)", re.I)
# `Bearer x`, `Basic x`, also where no header's name stands before it.
_SCHEME = re.compile(r"\b(Bearer|Basic|Token|Digest)\s+(?=\S*[A-Z0-9=+/_.~-])[\w+/=.~:-]{8,}")
_HEADER = re.compile(
    r"(?P<name>(?:proxy-)?authorization|(?:set-)?cookie|x-api-key)(?P<between>[\"']?\s*[:=]\s*[\"']?)"
    r"[^\r\n\"']+",
    re.IGNORECASE,
)
# `name=value` as in queries, forms and connection strings; with a colon only where the name alone
# says that it is a secret: a column may be called `token`, and its type follows a colon.
_PAIR = re.compile(
    rf"(?P<name>\b(?:{_EVERY_NAME}=|(?:{_NAMES}):\s*))"
    r"(?:(?P<quote>[\"'])(?:(?!(?P=quote)).)*(?P=quote)|[^\s&;,\"')\]}]+)",
    re.IGNORECASE,
)
# `"name": "value"` as in JSON and reprs.
_QUOTED_PAIR = re.compile(
    rf"(?P<name>([\"'])(?:{_EVERY_NAME}|code)\2\s*:\s*)([\"'])(?:(?!\3).)*\3", re.IGNORECASE
)
# An authorization code; as short as an error code it is none.
_CODE = re.compile(r"(?P<name>\bcode=)[\w%./+~-]{8,}")
_CODE_IN_PATH = re.compile(r"(?P<name>/validate_code/)[^\s?\"']+")


def redact_text(text: str) -> str:
    """The text without what may be a secret.

    >>> redact_text("GET https://me:word@example.org/a.csv?api_key=abc failed")
    'GET https://example.org/a.csv?*** failed'
    """
    text = _ADDRESS.sub(_bare_address, text)
    text = _HEADER.sub(rf"\g<name>\g<between>{MASK}", text)
    text = _SCHEME.sub(rf"\1 {MASK}", text)
    text = _PAIR.sub(rf"\g<name>{MASK}", text)
    text = _QUOTED_PAIR.sub(rf"\g<name>\3{MASK}\3", text)
    text = _CODE.sub(rf"\g<name>{MASK}", text)
    return _CODE_IN_PATH.sub(rf"\g<name>{MASK}", text)


def redact(value: Any, *, name: str = "") -> Any:
    """The same for anything that is logged; ``name``: the key that it stands under."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if _SECRET_NAME.fullmatch(name) or (name == "code" and not str(value).isdecimal()):
        return MASK
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {key: redact(one, name=str(key)) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(one) for one in value]
    return redact_text(str(value))


def redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    """The processor of structlog: every value of an event, and its text."""
    return {
        name: value if name.startswith("_") else redact(value, name=name)
        for name, value in event.items()
    }


def _bare_address(match: re.Match[str]) -> str:
    rest = match["rest"]
    trailing = rest[len(rest.rstrip(".,;:!?)]")) :]
    rest = rest.removesuffix(trailing) if trailing else rest
    bare, mark = re.split(r"[?#]", rest, maxsplit=1)[0], "?" in rest or "#" in rest
    host, slash, path = bare.partition("/")
    host = host.rpartition("@")[2]
    # A password with a slash in it, not quoted as it should be: what looks like the path ends at @.
    if "@" in path and ":" in bare.partition("@")[0]:
        host, slash, path = bare.rpartition("@")[2].partition("/")
    return f"{match['scheme']}{host}{slash}{path}" + (f"?{MASK}" if mark else "") + trailing
