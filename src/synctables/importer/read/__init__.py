"""read: members become layers, each a stream of Arrow batches."""

from synctables.importer.read.layers import open_batches, read

__all__ = ["open_batches", "read"]
