"""The web side, wired: API and pages over one pool of connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware import Middleware

from synctables import __version__, web
from synctables.api.addressing import AccountAddresses
from synctables.api.calls import Services
from synctables.api.headers import SecurityHeaders
from synctables.api.openapi import describe
from synctables.api.problems import UnforeseenErrors, install_problem_handlers
from synctables.api.rate_limits import RateLimits
from synctables.api.routes import ROUTERS
from synctables.datasources.drives.access import DriveAccess
from synctables.db.pool import create_pool
from synctables.jobs import create_jobs_app
from synctables.settings import Settings
from synctables.web import pages


def create_app(settings: Settings, *, database_url: str) -> FastAPI:
    """The application. It starts without waiting for the database: calls answer 503 till then."""
    pool = create_pool(
        database_url, min_size=4, application_name="synctables api", check_again_seconds=1.0
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await pool.open(wait=False)
        try:
            yield
        finally:
            await pool.close()

    app = FastAPI(
        title="Synctables",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # its pages load scripts from a foreign network
        redoc_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(AccountAddresses, domain=settings.domain),
            Middleware(SecurityHeaders),
            Middleware(UnforeseenErrors),
        ],
    )
    app.state.services = Services(
        settings=settings,
        pool=pool,
        jobs_app=create_jobs_app(),
        drives=DriveAccess(settings, pool, database_url=database_url),
        rate_limits=RateLimits(settings.api_calls_per_minute),
    )
    install_problem_handlers(app)
    _add_api(app)
    _add_pages(app)
    return app


def _add_api(app: FastAPI) -> None:
    for router in ROUTERS:
        app.include_router(router)
    document: dict[str, Any] = describe()
    app.openapi = lambda: document  # type: ignore[method-assign]


def _add_pages(app: FastAPI) -> None:
    app.include_router(pages.router)
    static_dir = Path(web.__file__).parent / "static"
    if static_dir.is_dir():
        app.mount("/static", StaticFiles(directory=static_dir), name="static")
