"""What every HTTP session that an SDK speaks through (of ``requests``) has to keep to.

Nothing ambient: neither proxies nor a ``.netrc`` of the environment, whose login would replace the
token. And no detours: `requests` follows a redirect to anywhere, to ``http://`` and to this machine
too, and at a 307 or 308 it sends the body again, which at a token endpoint holds all secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    import requests

_MOST_REDIRECTS = 5


def guard(session: requests.Session) -> None:
    """Only downloads may be redirected, and only to ``https``, where a certificate says who it is.

    Anything else raises a `requests.RequestException`. The access token stays behind wherever the
    host changes; that is requests' own doing.
    """
    session.trust_env = False
    session.max_redirects = _MOST_REDIRECTS
    session.hooks["response"].append(_check_redirect)


def _check_redirect(answer: requests.Response, *_: Any, **__: Any) -> None:
    if not answer.is_redirect:
        return
    from requests.exceptions import InvalidURL  # of an SDK: imported when used

    if answer.request.method != "GET" or not _is_secure(answer):
        answer.close()
        raise InvalidURL("a redirect that is not followed")


def _is_secure(answer: requests.Response) -> bool:
    try:
        target = urlsplit(urljoin(answer.url, answer.headers["location"]))
        return target.scheme == "https" and bool(target.hostname)
    except ValueError:
        return False
