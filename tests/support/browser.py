"""Debian's Chromium, driven over its DevTools protocol: real pages, real clicks, real pictures.

``browser``  a page in a headless browser; skipped where no Chromium is installed
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import shutil
import signal
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-port=0",
)  # fmt: skip
_SECONDS = 20


@dataclass
class Browser:
    """One page. ``complaints`` are its warnings and errors, such as violated policies."""

    socket: aiohttp.ClientWebSocketResponse
    session_id: str | None = None
    complaints: list[str] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol; events on the way are looked at for complaints."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self.session_id:
            message["sessionId"] = self.session_id
        await self.socket.send_json(message)
        while True:
            answer = await self.socket.receive_json(timeout=_SECONDS)
            self._note(answer)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)
        await self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return result["result"].get("value")

    async def wait_for(self, condition: str) -> None:
        """Until the expression is true; the page may be loading meanwhile."""
        async with asyncio.timeout(_SECONDS):
            while not await self.evaluate(condition):  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0.05)

    async def resize(self, width: int, height: int, *, is_dark: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self) -> bytes:
        """The page as a PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot"))["data"])

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event.get("method") == "Log.entryAdded":
            entry = parameters["entry"]
            if entry["level"] in ("warning", "error"):
                self.complaints.append(entry["text"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    if _CHROMIUM is None:
        pytest.skip("no Chromium here")
    async with open_browser(tmp_path / "profile") as opened:
        yield opened


@asynccontextmanager
async def open_browser(profile: Path) -> AsyncIterator[Browser]:
    """A headless Chromium with an empty page."""
    process = await asyncio.create_subprocess_exec(
        *(str(_CHROMIUM), *_QUIET, f"--user-data-dir={profile}", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        address = await asyncio.wait_for(_debugging_address(process), _SECONDS)
        async with aiohttp.ClientSession() as http, http.ws_connect(address, max_msg_size=0) as web:
            yield await _attach(Browser(web))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _debugging_address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    async for line in process.stderr:
        if b"DevTools listening on " in line:
            return line.decode().partition(" on ")[2].strip()
    raise AssertionError("Chromium ended before it listened")


async def _attach(browser: Browser) -> Browser:
    targets = (await browser.call("Target.getTargets"))["targetInfos"]
    page = next(target for target in targets if target["type"] == "page")
    attached = await browser.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
    browser.session_id = attached["sessionId"]
    for domain in ("Page", "Runtime", "Log"):
        await browser.call(f"{domain}.enable")
    return browser
