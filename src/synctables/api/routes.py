"""All routes of the API."""

from fastapi import APIRouter

from synctables.api import drives, health, imports, logs, metrics, previews, synchronizations, users

ROUTERS: tuple[APIRouter, ...] = (
    synchronizations.router,
    previews.router,
    imports.router,
    drives.router,
    logs.router,
    users.router,
    health.router,
    metrics.router,
)
