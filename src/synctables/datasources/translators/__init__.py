"""Addresses that people copy out of a browser, turned into those of the data: pure rules.

One module per family. A rule gets an `Address` and returns what it means, or None where it is not
of its kind. What a rule does not know stays untouched. Where only the server can say what a page
stands for, `synctables.datasources.resolvers` asks it.
"""

from __future__ import annotations

from collections.abc import Callable

from synctables.datasources.translators.address import Address, Translated
from synctables.datasources.translators.box import box_file
from synctables.datasources.translators.ckan import ckan_resource
from synctables.datasources.translators.code_hosts import (
    gist,
    github_file,
    gitlab_file,
    gitlab_snippet,
)
from synctables.datasources.translators.dropbox import dropbox_file
from synctables.datasources.translators.google import (
    google_drive_file,
    google_my_map,
    google_sheet,
    google_sheet_of_old,
)
from synctables.datasources.translators.openstreetmap import openstreetmap_view
from synctables.datasources.translators.socrata import socrata_page, socrata_resource

__all__ = ["TRANSLATORS", "Address", "Translated", "translate"]

Translator = Callable[[Address], Translated | None]

TRANSLATORS: tuple[Translator, ...] = (
    openstreetmap_view,
    google_sheet,
    google_sheet_of_old,
    google_drive_file,
    google_my_map,
    dropbox_file,
    box_file,
    github_file,
    gist,
    gitlab_file,
    gitlab_snippet,
    ckan_resource,
    socrata_page,
    socrata_resource,
)


def translate(url: str) -> Translated | None:
    """What the first rule that knows the address makes of it; None: the address stays as it is."""
    address = Address.of(url)
    found = (translator(address) for translator in TRANSLATORS)
    return next((one for one in found if one and one.url != url), None)
