"""Objects in S3, in Google Cloud Storage and in Azure Blob Storage, through ``obstore``.

Endpoints and credentials are the operator's settings, never those of the machine or of a sync;
what may be read is the places that the operator lists. ``obstore`` is imported when it is used.
"""

from synctables.datasources.object_stores.datasource import ObjectStoreDatasource

__all__ = ["ObjectStoreDatasource"]
