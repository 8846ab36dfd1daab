"""Addresses in object stores: what is one, what is none, and which place holds it."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synctables.datasources.addresses import validate_address
from synctables.errors import InvalidRequestError
from synctables.object_address import ObjectAddress, Place, WrongObjectAddressError

PLACES = (
    Place.parse("s3://open/published"),
    Place.parse("s3://exact/one/file.csv"),
    Place.parse("gs://whole-bucket/"),
    Place.parse("az://container/a/b/"),
)

READABLE = [
    ("s3://open/published/cities.csv", "s3://open/published/cities.csv"),
    ("  s3://open/published/2026/a b/ü+&=@.csv ", "s3://open/published/2026/a b/ü+&=@.csv"),
    ("S3://open/published/100%.csv", "s3://open/published/100%.csv"),
    ("s3://open/published/what?is#this.csv", "s3://open/published/what?is#this.csv"),
    ("s3://open/published/a%20b.csv", "s3://open/published/a%20b.csv"),
    ("s3://open/published/...csv", "s3://open/published/...csv"),
    ("s3://exact/one/file.csv", "s3://exact/one/file.csv"),
    ("gs://whole-bucket/x.csv", "gs://whole-bucket/x.csv"),
    ("az://container/a/b/c.csv", "az://container/a/b/c.csv"),
    ("azure://container/a/b/c.csv", "az://container/a/b/c.csv"),
    ("abfs://container/a/b/c.csv", "az://container/a/b/c.csv"),
    ("abfss://container/a/b/c.csv", "az://container/a/b/c.csv"),
    ("https://example.org/cities.csv", "https://example.org/cities.csv"),
]

OUTSIDE = [
    "s3://open/published-not/cities.csv",
    "s3://open/publishe/d.csv",
    "s3://open/Published/cities.csv",
    "s3://open/cities.csv",
    "s3://other/published/cities.csv",
    "s3://openx/published/cities.csv",
    "s3://exact/one/file.csv2",
    "s3://exact/one/other.csv",
    "s3://whole-bucket/x.csv",
    "az://container/a/bc.csv",
    "az://container/a/x/b/c.csv",
]

WRONG = [
    ("s3://open", "names no object"),
    ("s3://open/", "names no object"),
    ("s3:///published/cities.csv", "no valid bucket"),
    ("s3://o/published/cities.csv", "no valid bucket"),
    ("s3://op..en/published/cities.csv", "no valid bucket"),
    ("s3://open?x/published/cities.csv", "no valid bucket"),
    ("s3://open%2f..%2fother/published/cities.csv", "no valid bucket"),
    ("s3://KEY:secret@open/published/cities.csv", "settings of the operator"),
    ("abfss://container@account.dfs.core.windows.net/a/b/c.csv", "settings of the operator"),
    ("s3://open:9000/published/cities.csv", "settings of the operator"),
    ("s3://open/published/", "ends in a slash"),
    ("s3://open//published/cities.csv", "empty segment"),
    ("s3://open/published//cities.csv", "empty segment"),
    ("s3://open/published/../secret.csv", "segment . or .."),
    ("s3://open/published/..", "segment . or .."),
    ("s3://open/./published/cities.csv", "segment . or .."),
    ("s3://open/published/%2e%2e/secret.csv", "segment . or .., percent-encoded"),
    ("s3://open/published/.%2E/secret.csv", "segment . or .., percent-encoded"),
    ("s3://open/published/%252e%252e/secret.csv", "segment . or .., percent-encoded"),
    ("s3://open/published/%25252e./secret.csv", "segment . or .., percent-encoded"),
    ("s3://open/published/..%2fsecret.csv", "segment . or .., percent-encoded"),
    ("s3://open/published%2f..%2f..%2fsecret/x.csv", "segment . or .., percent-encoded"),
    ("s3://open/published%2fcities.csv", "percent-encoded slash"),
    ("s3://open/published/a%252Fb.csv", "percent-encoded slash"),
    ("s3://open/published/a%2f%2fb.csv", "empty segment (//), percent-encoded"),
    ("s3://open/published\\..\\secret.csv", "backslash"),
    ("s3://open/published/..%5csecret.csv", "backslash, percent-encoded"),
    ("s3://open/published/a%00.csv", "control character, percent-encoded"),
    ("s3://open/published/a\x00.csv", "control character"),
    ("s3://open/published/a\n.csv", "control character"),
    ("s3://open/published/\ud800.csv", "control character"),
    ("s3://open/published/" + "a" * 1100, "longer than 1,024 bytes"),
]


@pytest.mark.parametrize(("given_address", "expected"), READABLE)
def test_an_address_in_a_place_is_normalised(given_address: str, expected: str) -> None:
    assert validate_address(given_address, places=PLACES) == expected


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_in_no_place_is_refused_by_the_name_of_the_setting(address: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        validate_address(address, places=PLACES)
    assert "SYNCTABLES_OBJECT_STORE_PLACES" in str(caught.value)


@pytest.mark.parametrize(("address", "reason"), WRONG)
def test_a_wrong_address_is_refused_with_its_reason(address: str, reason: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        validate_address(address, places=PLACES)
    assert reason in str(caught.value)
    assert "secret@" not in str(caught.value)
    str(caught.value).encode()


@pytest.mark.parametrize("address", ["s3://open/a.csv", "gs://open/a.csv", "az://open/a.csv"])
def test_nothing_listed_is_nothing_readable(address: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        validate_address(address, places=())
    scheme = address.partition("/")[0]
    assert str(caught.value) == (
        f"This server reads nothing at {scheme}//. The operator can allow it with"
        " SYNCTABLES_OBJECT_STORE_PLACES."
    )


@pytest.mark.parametrize("address", ["ftp://open/a.csv", "file:///etc/passwd", "s3a://open/a.csv"])
def test_other_schemes_stay_refused(address: str) -> None:
    with pytest.raises(InvalidRequestError):
        validate_address(address, places=PLACES)


@given(st.text(alphabet="a./%25eEfF\\", max_size=12))
def test_no_spelling_leads_out_of_a_place(tail: str) -> None:
    """Whatever is accepted stays in the place, however often it is decoded on its way."""
    try:
        key = ObjectAddress.parse(f"s3://open/published/{tail}").key
    except WrongObjectAddressError:
        return
    for _ in range(4):
        segments = key.split("/")
        assert segments[0] == "published"
        assert not {"", ".", ".."} & set(segments)
        key = unquote(key)
