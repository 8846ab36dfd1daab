"""All routes of the API."""

from fastapi import APIRouter

from synctables.api import health, imports, logs, previews, synchronizations

ROUTERS: tuple[APIRouter, ...] = (
    synchronizations.router,
    previews.router,
    imports.router,
    logs.router,
    health.router,
)
