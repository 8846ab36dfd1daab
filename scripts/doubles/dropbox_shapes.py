"""What the double of Dropbox says of files, folders and links, and its consent page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from doubles.dropbox_files import Revision, SharedLink, StoredFile, StoredFolder, content_hash

Json = dict[str, Any]

PERMISSIONS: Json = {
    "can_revoke": False,
    "resolved_visibility": {".tag": "public"},
    "revoke_failure_reason": {".tag": "owner_only"},
    "visibility_policies": [],
    "can_set_expiry": False,
    "can_remove_expiry": False,
    "allow_download": True,
    "can_allow_download": False,
    "can_disallow_download": False,
    "allow_comments": False,
    "team_restricts_comments": False,
}


def account_of(root_info: Json, *, is_in_team: bool) -> Json:
    """``FullAccount`` of the one user there is."""
    names = ("given_name", "surname", "familiar_name", "display_name", "abbreviated_name")
    return {
        "account_id": "dbid:AAH4f99T0taONIb-OurWxbNQ6ywGRopQngc",
        "name": dict.fromkeys(names, "Ada Lovelace"),
        "email": "ada@example.org",
        "email_verified": True,
        "disabled": False,
        "locale": "en",
        "referral_link": "https://db.tt/ZITNuhtI",
        "is_paired": False,
        "account_type": {".tag": "business" if is_in_team else "basic"},
        "root_info": root_info,
    }


def consent_page(asked: Mapping[str, str]) -> str:
    kept = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in asked.items()
    )
    scopes = "".join(f"<li>{escape(one)}</li>" for one in asked.get("scope", "").split())
    return (
        "<!doctype html><title>Dropbox (double)</title><h1>Dropbox (double)</h1>"
        f"<p>An app would like to use:</p><ul>{scopes}</ul><form>{kept}"
        '<button name="approve" value="1">Allow</button> '
        '<button name="approve" value="0">Cancel</button></form>'
    )


def metadata_of(one: StoredFile | StoredFolder, above: str) -> Json:
    if isinstance(one, StoredFolder):
        return folder_metadata(one, above)
    return file_metadata(one, one.now, above)


def shown(one: StoredFile | StoredFolder, above: str) -> Json:
    path = one.path[len(above) :]
    return {"path_lower": path.lower(), "path_display": path}


def folder_metadata(folder: StoredFolder, above: str) -> Json:
    return {".tag": "folder", "name": folder.name, "id": folder.id, **shown(folder, above)}


def file_metadata(file: StoredFile, revision: Revision, above: str) -> Json:
    moment = revision.modified_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {
        ".tag": "file",
        "name": file.name,
        "id": file.id,
        **shown(file, above),
        "client_modified": moment,
        "server_modified": moment,
        "rev": revision.rev,
        "size": len(revision.content),
        "is_downloadable": not file.export_as,
        "content_hash": content_hash(revision.content),
    }
    if file.export_as:
        metadata["export_info"] = {"export_as": file.export_as}
    return metadata


def link_metadata(link: SharedLink, file: StoredFile, revision: Revision) -> Json:
    whole = file_metadata(file, revision, "")
    kept = (".tag", "name", "id", "client_modified", "server_modified", "rev", "size")
    metadata = {name: whole[name] for name in kept}
    return metadata | {"url": link.url, "link_permissions": PERMISSIONS}


def without_paths(metadata: Json) -> Json:
    """Behind a link there is no path of the account's own."""
    return {name: value for name, value in metadata.items() if not name.startswith("path_")}
