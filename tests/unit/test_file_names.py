"""How a fetched file gets its name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synctables.datasources.file_names import (
    MAX_FILE_NAME_BYTES,
    choose_file_name,
    safe_file_name,
)

DISPOSITIONS = [
    ('attachment; filename="cities.csv"', "cities.csv"),
    ("attachment; filename=cities.csv", "cities.csv"),
    ("attachment; filename=cities of 2024.csv", "cities of 2024.csv"),
    ("attachment;filename = cities.csv ; size=3", "cities.csv"),
    ("inline; FILENAME=cities.csv", "cities.csv"),
    ("filename=cities.csv", "cities.csv"),
    ('filename="cities.csv"', "cities.csv"),
    ('attachment; filename="a;b.csv"; size=3', "a;b.csv"),
    (r'attachment; filename="say \"hi\".csv"', 'say "hi".csv'),
    ("attachment; filename*=UTF-8''na%C3%AFve.csv", "naïve.csv"),
    ("attachment; filename=\"naive.csv\"; filename*=utf-8'fr'na%C3%AFve.csv", "naïve.csv"),
    ("attachment; filename*=UTF-8''na%C3%AFve.csv; filename=naive.csv", "naïve.csv"),
    ("attachment; filename*=iso-8859-1''na%EFve.csv", "naïve.csv"),
    ("attachment; filename*=UTF-8''%FF.csv; filename=fallback.csv", "fallback.csv"),
    ("attachment; filename*=klingon''x.csv; filename=fallback.csv", "fallback.csv"),
    ("attachment; filename*=nonsense; filename=fallback.csv", "fallback.csv"),
    ('attachment; filename="naïve.csv"', "naïve.csv"),
    ('attachment; filename="na\udcefve.csv"', "naïve.csv"),
    ('attachment; filename="100%25.csv"', "100%25.csv"),
    ('attachment; filename="../../etc/passwd"', "passwd"),
    ('attachment; filename="C:\\\\data\\\\cities.csv"', "cities.csv"),
    ('attachment; filename=".htaccess"', "htaccess"),
    ('attachment; filename=".."', "asked.csv"),
    ('attachment; filename=""', "asked.csv"),
    ("attachment", "asked.csv"),
    ("", "asked.csv"),
    ("; ; =; filename", "asked.csv"),
    (None, "asked.csv"),
]

ADDRESSES = [
    ("http://h/d/cities.csv", "http://h/d/cities.csv", "cities.csv"),
    ("http://h/d/cities.csv?v=2#top", "http://h/", "cities.csv"),
    ("http://h/d/na%C3%AFve%20cities.csv", "http://h/", "naïve cities.csv"),
    ("http://h/d/a%2Fb.csv", "http://h/", "b.csv"),
    ("http://h/d/CITIES.CSV", "http://h/", "CITIES.CSV"),
    ("http://h/d/quakes.geojson", "http://h/other.csv", "quakes.geojson"),
    ("http://cdn/blob/8f14e45f", "http://h/cities.csv", "cities.csv"),
    ("http://h/download?file=data/cities.csv&v=1", "http://h/", "cities.csv"),
    ("http://h/download", "http://h/get?cities.csv", "cities.csv"),
    ("http://h/download.php?id=3", "http://h/x", "download.php"),
    ("http://h/export?format=csv", "http://h/x", "export"),
    ("http://h/export/", "http://h/airports", "airports"),
    ("http://h/.csv", "http://h/", "csv"),
    ("http://h/", "http://h", "file"),
    ("http://h/%00%2e%2e", "http://h/", "file"),
]

SAFE = [
    ("cities.csv", "cities.csv"),
    ("  cities .csv ", "cities .csv"),
    ("a/b\\c.csv", "c.csv"),
    ("ci\x00ti\x1bes\n.csv", "cities.csv"),
    ("abc\u202evsc.exe", "abcvsc.exe"),
    ("e\u0301te\u0301.csv", "été.csv"),
    ("...", ""),
    ("..", ""),
    ("a/", ""),
    ("\ud800.csv", "csv"),
    ("x" * 300 + ".csv", "x" * 196 + ".csv"),
    ("é" * 150 + ".geojson", "é" * 96 + ".geojson"),
    ("x" * 300, "x" * 200),
    ("x." + "y" * 300, "x." + "y" * 198),
]


@pytest.mark.parametrize(("header", "name"), DISPOSITIONS)
def test_content_disposition_names_the_file(header: str | None, name: str) -> None:
    url = "http://h/asked.csv"
    assert choose_file_name(content_disposition=header, final_url=url, first_url=url) == name


@pytest.mark.parametrize(("final_url", "first_url", "name"), ADDRESSES)
def test_the_addresses_name_the_file(final_url: str, first_url: str, name: str) -> None:
    chosen = choose_file_name(content_disposition=None, final_url=final_url, first_url=first_url)
    assert chosen == name


@pytest.mark.parametrize(("name", "safe"), SAFE)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_file_name(name) == safe


@given(st.text())
def test_any_text_becomes_a_name_that_stays_in_its_folder(name: str) -> None:
    safe = safe_file_name(name)
    assert "/" not in safe
    assert "\0" not in safe
    assert not safe.startswith(".")
    assert len(safe.encode()) <= MAX_FILE_NAME_BYTES
    assert safe_file_name(safe) == safe


@given(st.text())
def test_any_header_leaves_some_name(header: str) -> None:
    url = "http://h/"
    assert choose_file_name(content_disposition=header, final_url=url, first_url=url)
