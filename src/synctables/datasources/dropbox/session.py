"""The HTTP session that the SDK speaks through, as its ``session`` parameter takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from synctables.datasources._http import USER_AGENT
from synctables.datasources.drives.sessions import guard
from synctables.datasources.dropbox.failures import check_answer

if TYPE_CHECKING:
    from synctables.settings import Settings

API = "https://api.dropboxapi.com"
CONTENT = "https://content.dropboxapi.com"
WEB = "https://www.dropbox.com"


def open_session(settings: Settings) -> Any:
    """The SDK's own session, which leads to the endpoint of the settings where one is set."""
    from dropbox import create_session

    endpoint = settings.dropbox_endpoint
    ca_file = settings.drive_ca_file if endpoint else None
    session = create_session(ca_certs=str(ca_file) if ca_file else None)
    guard(session)
    session.hooks["response"].append(check_answer)
    if endpoint:
        usual = session.get_adapter(API)
        for host in (API, CONTENT):
            session.mount(host, _Elsewhere(usual, endpoint))
    return session


def open_client(access_token: str, session: Any, settings: Settings) -> Any:
    """The SDK, which neither renews tokens nor tries again: both are decided elsewhere."""
    from dropbox import Dropbox

    return Dropbox(
        access_token,
        session=session,
        user_agent=USER_AGENT,
        timeout=timeouts(settings),
        max_retries_on_error=0,
        max_retries_on_rate_limit=0,
    )


def timeouts(settings: Settings) -> tuple[float, float]:
    """Seconds for a connection, and between two packets, as requests takes them."""
    return (settings.connect_timeout_seconds, settings.idle_timeout_seconds)


class _Elsewhere:
    """A transport adapter (as `requests.Session.mount` takes it) that asks another server.

    The SDK's own way, variables of the environment that it reads at import, is one for all.
    """

    def __init__(self, usual: Any, endpoint: str) -> None:
        self._usual = usual
        self._endpoint = urlsplit(endpoint)

    def send(self, request: Any, **options: Any) -> Any:
        asked = urlsplit(request.url)
        request.url = urlunsplit(
            (self._endpoint.scheme, self._endpoint.netloc, asked.path, asked.query, "")
        )
        return self._usual.send(request, **options)

    def close(self) -> None:
        self._usual.close()
