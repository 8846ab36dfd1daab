"""A remote file becomes a PostGIS table that stays equal to the file, unattended."""

__version__ = "0.1.0"
