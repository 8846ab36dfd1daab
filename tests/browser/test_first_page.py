"""The first page in a real browser: it signs in, renews itself, and breaks no policy of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from synctables.web.rendering import STATIC_DIR

if TYPE_CHECKING:
    from tests.support.api_server import ApiAccount
    from tests.support.browser import Browser

pytestmark = pytest.mark.skipif(
    not (STATIC_DIR / "page.js").is_file(), reason="the web assets are not built"
)


async def _sign_in(browser: Browser, api: ApiAccount) -> None:
    await browser.open(f"{api.base_url}/")
    await browser.evaluate(f"document.querySelector('#api_key').value = '{api.api_key}'")
    await browser.evaluate("document.querySelector('.card form').requestSubmit()")
    await browser.wait_for("document.querySelector('#syncs-title') !== null")


async def test_the_table_of_whoever_signs_in_renews_itself(
    browser: Browser, api: ApiAccount
) -> None:
    await browser.resize(1280, 800)
    await _sign_in(browser, api)
    sync = api.create_sync(table_name="parks")
    await browser.wait_for("document.querySelector('tbody .name')?.textContent === 'parks'")
    api.server.query("UPDATE syncs SET state = 'syncing' WHERE id = %s", sync["id"])
    await browser.wait_for("document.querySelector('.state')?.textContent === 'syncing'")
    assert browser.complaints == []


@pytest.mark.parametrize("width", [360, 1280])
async def test_nothing_runs_over_the_edge(browser: Browser, api: ApiAccount, width: int) -> None:
    api.create_sync(url=f"https://example.org/{'long-' * 60}.csv", table_name="a" * 63)
    await browser.resize(width, 800)
    await _sign_in(browser, api)
    assert await browser.evaluate("document.documentElement.scrollWidth") <= width
