"""The private cluster: a PostgreSQL with PostGIS that one data directory owns.

``synctables serve`` without SYNCTABLES_DATABASE_URL starts one here and stops it again. It listens
on a unix socket inside the data directory only.
"""

from synctables.localpg.binaries import Binaries, find_binaries
from synctables.localpg.cluster import LocalCluster, local_database_url
from synctables.localpg.diagnosis import Finding, diagnose
from synctables.localpg.directory import DatabaseUser, DataDirectory, default_data_dir

__all__ = [
    "Binaries",
    "DataDirectory",
    "DatabaseUser",
    "Finding",
    "LocalCluster",
    "default_data_dir",
    "diagnose",
    "find_binaries",
    "local_database_url",
]
