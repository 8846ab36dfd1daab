"""All routes of the API."""

from fastapi import APIRouter

from synctables.api import health, imports, logs, synchronizations

ROUTERS: tuple[APIRouter, ...] = (
    synchronizations.router,
    imports.router,
    logs.router,
    health.router,
)
