"""Migrations: numbered SQL files, forward only, each run by a revision of Alembic."""
