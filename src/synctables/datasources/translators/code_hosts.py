"""GitHub, its gists, and GitLab on any host: the page that shows a file, as the file."""

from __future__ import annotations

import re

from synctables.datasources.translators.address import Address, Translated

_GITHUB_FILE = re.compile(r"(/[^/]+/[^/]+)/blob/(.+)")
_GIST = re.compile(r"((?:/[^/]+)?/(?=[0-9a-f]*\d)[0-9a-f]{7,40})(?:/([0-9a-f]{40}))?/?")
_GITLAB_FILE = re.compile(r"(/.+)/-/blob/(.+)")
_GITLAB_FILE_OF_OLD = re.compile(r"(/[^/]+(?:/[^/]+)+?)/blob/(.+)")
_SNIPPET = re.compile(r"((?:/.+)?(?:/-)?/snippets/\d+)/?")


def github_file(address: Address) -> Translated | None:
    """``/blob/`` becomes ``/raw/``: the redirect that follows also knows large files (LFS)."""
    match = _GITHUB_FILE.fullmatch(address.path)
    if address.host not in ("github.com", "www.github.com") or not match:
        return None
    return Translated(url=address.at(f"{match[1]}/raw/{match[2]}"))


def gist(address: Address) -> Translated | None:
    """A gist's only or first file. ``#file-…`` names another one, which `resolvers` looks up."""
    match = _GIST.fullmatch(address.path)
    if address.host != "gist.github.com" or not match or address.parts.fragment:
        return None
    revision = f"/{match[2]}" if match[2] else ""
    return Translated(url=address.at(f"{match[1]}/raw{revision}"))


def gitlab_file(address: Address) -> Translated | None:
    """``/-/blob/`` is GitLab's alone; without the dash only gitlab.com is known to be one."""
    match = _GITLAB_FILE.fullmatch(address.path)
    if match:
        return Translated(url=address.at(f"{match[1]}/-/raw/{match[2]}", _private_key(address)))
    match = _GITLAB_FILE_OF_OLD.fullmatch(address.path)
    if match and address.host == "gitlab.com":
        return Translated(url=address.at(f"{match[1]}/-/raw/{match[2]}", _private_key(address)))
    return None


def gitlab_snippet(address: Address) -> Translated | None:
    match = _SNIPPET.fullmatch(address.path)
    is_gitlab = address.host == "gitlab.com" or "/-/" in address.path
    if not match or not is_gitlab:
        return None
    return Translated(url=address.at(f"{match[1]}/raw", _private_key(address)))


def _private_key(address: Address) -> str:
    """Of the query only the token that opens a private project; the rest is about the page."""
    return "&".join(
        pair
        for pair in address.parts.query.split("&")
        if pair.startswith(("private_token=", "access_token="))
    )
