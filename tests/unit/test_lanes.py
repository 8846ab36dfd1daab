"""What is asked together: syncs of one host, all of them read by one datasource."""

from __future__ import annotations

from uuid import UUID

import pytest

from synctables.datasources.lanes import lane_of
from synctables.datasources.source import Source

ACCOUNT = UUID(int=1)


@pytest.mark.parametrize(
    ("url", "lane"),
    [
        pytest.param("https://data.example.org/a.csv", "data.example.org", id="a host"),
        pytest.param("http://me:secret@data.example.org/", "data.example.org", id="no userinfo"),
        pytest.param("https://data.example.org:443/a", "data.example.org", id="its usual port"),
        pytest.param("http://data.example.org:443/a", "data.example.org:443", id="another port"),
        pytest.param("http://[::1]:80/a", "[::1]", id="an IPv6 address"),
        pytest.param(
            "https://www.openstreetmap.org/#map=17/40.4/-3.7",
            "api.openstreetmap.org",
            id="a page about data",
        ),
        pytest.param("s3://data.example.org/a.csv", "s3://data.example.org", id="a bucket"),
        pytest.param("gs://data.example.org/a[1].csv", "gs://data.example.org", id="its twin"),
    ],
)
def test_a_lane_is_where_the_data_lies(url: str, lane: str) -> None:
    assert lane_of(Source(url=url), account_id=ACCOUNT) == lane


def test_an_account_has_a_lane_of_its_own_at_each_service() -> None:
    item = Source(service_name="box", service_item_id="7")
    assert lane_of(item, account_id=ACCOUNT) != lane_of(item, account_id=UUID(int=2))
