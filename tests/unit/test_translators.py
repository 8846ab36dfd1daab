"""Addresses out of a browser, and the addresses of the data that they stand for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synctables.datasources.translators import translate
from synctables.datasources.translators.openstreetmap import bounding_box
from synctables.datasources.web_address import validate_url
from synctables.errors import InvalidRequestError

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "addresses.md"
SHEET = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms"
PUBLISHED = "2PACX-1vQ5s2nJkq"
FILE = "0B1iqp0kGPjWsNDg5NWFlZjEt"
RESOURCE = "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"
VIEW = "9f8e7d6c-5b4a-4938-a716-253443526170"
EXPORT = f"https://docs.google.com/spreadsheets/d/{SHEET}/export?format=csv"
DRIVE = f"https://drive.usercontent.google.com/download?id={FILE}&export=download&confirm=t"
MAP = "https://api.openstreetmap.org/api/0.6/map?bbox="
MADRID = "-3.702289325408941,40.43359889549254,-3.69907067459107,40.43628110450743"
GIST = "https://gist.github.com/alice/0a1b2c3d4e5f60718293a4b5c6d7e8f9"
BRANCH = "f" * 40


def documented_rows() -> list[tuple[str, str]]:
    """The examples of the guide whose result is an address."""
    rows = re.findall(
        r"^\|[^|]+\| `(https?://[^`]+)` \| `(https?://[^`]+)` \|$", GUIDE.read_text(), re.M
    )
    return [(example, result) for example, result in rows]


CASES = {
    # --- OpenStreetMap
    "https://www.openstreetmap.org/#map=18/40.43494/-3.70068": MAP + MADRID,
    "http://openstreetmap.org/export#map=18/40.43494/-3.70068": MAP + MADRID,
    "https://www.openstreetmap.org/relation/5326784#map=18/40.43494/-3.70068&layers=N": MAP
    + MADRID,
    "https://www.openstreetmap.org/?lat=40.43494&lon=-3.70068&zoom=18&layers=M": MAP + MADRID,
    "https://www.openstreetmap.org/?zoom=18&lon=-3.70068&lat=40.43494": MAP + MADRID,
    # --- Google
    f"https://docs.google.com/spreadsheets/d/{SHEET}/edit?usp=sharing": EXPORT,
    f"https://docs.google.com/spreadsheets/d/{SHEET}": EXPORT,
    f"https://docs.google.com/spreadsheets/d/{SHEET}/edit#gid=1234": f"{EXPORT}&gid=1234",
    f"https://docs.google.com/spreadsheets/d/{SHEET}/edit?gid=12#gid=12": f"{EXPORT}&gid=12",
    f"https://docs.google.com/spreadsheets/d/{SHEET}/edit#gid=0&range=A1:B2": f"{EXPORT}&gid=0",
    f"https://docs.google.com/spreadsheets/d/{SHEET}/htmlview": EXPORT,
    f"https://docs.google.com/spreadsheets/u/1/d/{SHEET}/view": EXPORT,
    f"https://docs.google.com/a/example.org/spreadsheets/d/{SHEET}/edit": EXPORT,
    f"https://docs.google.com/spreadsheets/d/{SHEET}/edit?resourcekey=0-ab": (
        f"{EXPORT}&resourcekey=0-ab"
    ),
    f"https://docs.google.com/spreadsheets/d/e/{PUBLISHED}/pubhtml": (
        f"https://docs.google.com/spreadsheets/d/e/{PUBLISHED}/pub?output=csv"
    ),
    f"https://docs.google.com/spreadsheets/d/e/{PUBLISHED}/pubhtml?gid=7&single=true": (
        f"https://docs.google.com/spreadsheets/d/e/{PUBLISHED}/pub?output=csv&gid=7&single=true"
    ),
    "https://docs.google.com/spreadsheet/ccc?key=0AqR8d&usp=sharing#gid=3": (
        "https://docs.google.com/spreadsheet/ccc?key=0AqR8d&usp=sharing&gid=3&output=csv"
    ),
    f"https://drive.google.com/file/d/{FILE}/view?usp=sharing": DRIVE,
    f"https://drive.google.com/file/d/{FILE}": DRIVE,
    f"https://drive.google.com/open?id={FILE}": DRIVE,
    f"https://drive.google.com/uc?export=download&id={FILE}": DRIVE,
    f"https://drive.google.com/file/d/{FILE}/edit?resourcekey=0-xy": f"{DRIVE}&resourcekey=0-xy",
    "https://www.google.com/maps/d/viewer?mid=1AbC-d_E&ll=1,2&z=3": (
        "https://www.google.com/maps/d/kml?mid=1AbC-d_E&forcekml=1"
    ),
    "https://www.google.de/maps/d/u/0/edit?hl=de&mid=1AbC": (
        "https://www.google.com/maps/d/kml?mid=1AbC&forcekml=1"
    ),
    # --- Dropbox and Box
    "https://www.dropbox.com/s/k3y/cities.csv": "https://www.dropbox.com/s/k3y/cities.csv?dl=1",
    "https://www.dropbox.com/s/k3y/cities.csv?dl=0": (
        "https://www.dropbox.com/s/k3y/cities.csv?dl=1"
    ),
    "https://www.dropbox.com/scl/fi/k3y/a%20b.csv?rlkey=r1&st=s&dl=0": (
        "https://www.dropbox.com/scl/fi/k3y/a%20b.csv?rlkey=r1&st=s&dl=1"
    ),
    "https://www.dropbox.com/scl/fo/k3y/h4sh?rlkey=r1&dl=0": (
        "https://www.dropbox.com/scl/fo/k3y/h4sh?rlkey=r1&dl=1"
    ),
    "https://app.box.com/s/n4me": "https://app.box.com/shared/static/n4me",
    "https://city.app.box.com/s/n4me": "https://city.app.box.com/shared/static/n4me",
    "https://app.box.com/s/n4me/file/12345": (
        "https://app.box.com/index.php?rm=box_download_shared_file&shared_name=n4me&file_id=f_12345"
    ),
    # --- code hosts
    "https://github.com/alice/data/blob/main/a/b%20c.csv#L3": (
        "https://github.com/alice/data/raw/main/a/b%20c.csv"
    ),
    "https://github.com/alice/data/blob/feature/x/c.csv?raw=true": (
        "https://github.com/alice/data/raw/feature/x/c.csv"
    ),
    "https://github.com/alice/data/blob/main/raw/blob/c.csv": (
        "https://github.com/alice/data/raw/main/raw/blob/c.csv"
    ),
    GIST: f"{GIST}/raw",
    f"{GIST}/{BRANCH}": f"{GIST}/raw/{BRANCH}",
    "https://gitlab.com/g/sub/p/-/blob/main/x/c.csv?ref_type=heads": (
        "https://gitlab.com/g/sub/p/-/raw/main/x/c.csv"
    ),
    "https://gitlab.com/g/p/blob/main/c.csv": "https://gitlab.com/g/p/-/raw/main/c.csv",
    "https://git.example.org/g/p/-/blob/v1/c.csv?private_token=t": (
        "https://git.example.org/g/p/-/raw/v1/c.csv?private_token=t"
    ),
    "https://gitlab.com/-/snippets/123": "https://gitlab.com/-/snippets/123/raw",
    "https://git.example.org/g/p/-/snippets/9": "https://git.example.org/g/p/-/snippets/9/raw",
    # --- open-data portals
    "https://data.example.org/d/ab2c-d3ef": (
        "https://data.example.org/api/views/ab2c-d3ef/rows.csv?accessType=DOWNLOAD"
    ),
    "https://data.example.org/Public-Safety/Crimes-2001-to-Present/ijzp-q8t2/about_data": (
        "https://data.example.org/api/views/ijzp-q8t2/rows.csv?accessType=DOWNLOAD"
    ),
    "https://data.example.org/dataset/Parks/abcd-efgh": (
        "https://data.example.org/api/views/abcd-efgh/rows.csv?accessType=DOWNLOAD"
    ),
    "https://data.example.org/resource/ab2c-d3ef.json": (
        "https://data.example.org/api/views/ab2c-d3ef/rows.csv?accessType=DOWNLOAD"
    ),
    "https://data.example.org/resource/ab2c-d3ef.geojson": (
        "https://data.example.org/resource/ab2c-d3ef.geojson?$limit=1000000000"
    ),
    "https://data.example.org/resource/ab2c-d3ef.csv?$where=ward%3D'3'": (
        "https://data.example.org/resource/ab2c-d3ef.csv?$where=ward%3D'3'&$limit=1000000000"
    ),
    f"https://data.example.org/en/dataset/parks/resource/{RESOURCE}": (
        f"https://data.example.org/en/dataset/parks/resource/{RESOURCE}/download"
    ),
    f"https://me:pw@data.example.org/dataset/parks/resource/{RESOURCE}/view/{VIEW}": (
        f"https://me:pw@data.example.org/dataset/parks/resource/{RESOURCE}/download"
    ),
}

UNTOUCHED = [
    "https://example.org/data/cities.csv",
    "https://example.org/cities.csv?file=https://github.com/a/b/blob/main/c.csv",
    "https://evilgithub.com/alice/data/blob/main/c.csv",
    "https://docs.google.com.example.org/spreadsheets/d/" + SHEET,
    "https://raw.githubusercontent.com/alice/data/main/c.csv",
    "https://github.com/alice/data/raw/main/c.csv",
    "https://github.com/alice/data/releases/download/v1/c.csv",
    "https://github.com/alice/blob",
    "https://gist.github.com/alice",
    f"{GIST}#file-second-csv",
    f"{GIST}/raw/c.csv",
    "https://gitlab.com/g/p/-/raw/main/c.csv",
    "https://example.org/a/b/blob/main/c.csv",
    "https://example.org/snippets/12",
    "https://www.openstreetmap.org/",
    "https://www.openstreetmap.org/#map=18/91.0/0",
    "https://www.openstreetmap.org/node/1",
    "https://api.openstreetmap.org/api/0.6/map?bbox=1,2,3,4",
    f"{EXPORT}&gid=0",
    f"https://docs.google.com/spreadsheets/d/{SHEET}/export?format=xlsx",
    f"https://docs.google.com/spreadsheets/d/{SHEET}/gviz/tq?tqx=out:csv",
    f"https://docs.google.com/spreadsheets/d/e/{PUBLISHED}/pub?output=tsv",
    DRIVE,
    "https://drive.google.com/drive/folders/1AbCdEfGhIjK",
    "https://www.google.com/maps/d/kml?mid=1AbC&forcekml=1",
    "https://www.google.com/maps/@40.4,-3.7,15z",
    "https://www.dropbox.com/s/k3y/cities.csv?dl=1",
    "https://dl.dropboxusercontent.com/s/k3y/cities.csv",
    "https://www.dropbox.com/home/cities.csv",
    "https://app.box.com/shared/static/n4me.csv",
    "https://example.org/maps/region/west-east",
    "https://example.org/reports/annual/2019-2020",
    "https://data.example.org/resource/ab2c-d3ef.json?$limit=50",
    "https://data.example.org/api/views/ab2c-d3ef/rows.csv?accessType=DOWNLOAD",
    f"https://data.example.org/dataset/parks/resource/{RESOURCE}/download/parks.csv",
    "https://data.example.org/dataset/parks/resource/parks",
]


@pytest.mark.parametrize(("url", "expected"), CASES.items(), ids=CASES)
def test_an_address_becomes_that_of_its_data(url: str, expected: str) -> None:
    translated = translate(url)
    assert translated is not None
    assert translated.url == expected


@pytest.mark.parametrize(("url", "expected"), documented_rows())
def test_every_example_of_the_guide_is_true(url: str, expected: str) -> None:
    translated = translate(url)
    assert translated is not None
    assert translated.url == expected


def test_the_guide_has_examples() -> None:
    assert len(documented_rows()) > 15


@pytest.mark.parametrize("url", UNTOUCHED)
def test_whatever_is_not_known_stays_untouched(url: str) -> None:
    assert translate(url) is None


@pytest.mark.parametrize("url", CASES.values(), ids=CASES)
def test_a_translated_address_is_valid_and_is_not_translated_again(url: str) -> None:
    assert validate_url(url) == url
    assert translate(url) is None


def test_the_file_of_a_map_view_has_a_name() -> None:
    translated = translate("https://www.openstreetmap.org/#map=18/40.43494/-3.70068")
    assert translated is not None
    assert translated.file_name == "map.osm"


@given(st.text(max_size=60), st.sampled_from(list(CASES)))
def test_no_address_breaks_a_translator(tail: str, url: str) -> None:
    for address in (url + tail, f"https://example.org/{tail}"):
        try:
            normalised = validate_url(address)
        except InvalidRequestError:  # only what validation lets pass is ever translated
            continue
        translated = translate(normalised)
        assert translated is None or validate_url(translated.url)


@given(st.floats(1, 19), st.floats(-85, 85, allow_nan=False), st.floats(-179, 179, allow_nan=False))
def test_a_map_view_lies_in_the_middle_of_its_box(
    zoom: float, latitude: float, longitude: float
) -> None:
    west, south, east, north = bounding_box(zoom, latitude, longitude)
    assert west < longitude < east
    assert south < latitude < north
