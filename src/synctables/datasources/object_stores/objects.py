"""One object at its store: what it is now, and its bytes, all of one version. Blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from synctables.datasources.base import SourceVersion
from synctables.datasources.object_stores.store_errors import ChangedError, store_errors
from synctables.errors import DatasourceReadError

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta

    from synctables.datasources.object_stores.stores import BucketStore
    from synctables.object_address import ObjectAddress

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """The object at ``address`` of the open ``store``."""

    store: BucketStore
    address: ObjectAddress

    def describe(self) -> ObjectMeta:
        """One HEAD. Raises a `RunError`."""
        try:
            with store_errors(self.address):
                return self.store.head(self.address.key)
        except DatasourceReadError:
            # The answer to a HEAD has no body, and so no reason: a GET for the same is told it.
            return self.get().meta

    def open(self, known: SourceVersion | None) -> GetResult | None:
        """One GET, or None: the store says, or the answer shows, that ``known`` is current."""
        from obstore.exceptions import NotModifiedError

        try:
            opened = self.get(if_none_match=known.etag if known else None)
        except NotModifiedError:
            return None
        # Some stores (and proxies) know no conditions, and send the same version again.
        return None if known and is_same(version_of(opened.meta), known) else opened

    def get(self, **options: Any) -> GetResult:
        """One GET with these options; those of None are not sent."""
        given: Any = {name: value for name, value in options.items() if value is not None}
        with store_errors(self.address):
            return self.store.get(self.address.key, options=given)


class Body:
    """The bytes of the version that ``opened`` began to give, from any offset on."""

    def __init__(self, stored: StoredObject, opened: GetResult) -> None:
        self._stored = stored
        self._opened: GetResult | None = opened
        self.meta = opened.meta

    def open_at(self, offset: int) -> Iterable[bytes]:
        """The rest of the bytes. Raises a `RunError`, and `ChangedError` for another version."""
        if offset and offset >= self.meta["size"]:
            return ()
        opened, self._opened = self._opened, None
        if opened is None or offset:
            opened = self._reopen(offset)
        return self._chunks(opened)

    def _reopen(self, offset: int) -> GetResult:
        etag, revision = self.meta["e_tag"], self.meta["version"]
        if not etag and not revision:
            raise ChangedError  # nobody vouches for the rest
        opened = self._stored.get(
            if_match=etag,
            version=None if etag else revision,
            range={"offset": offset} if offset else None,
        )
        # Also here: who knows no conditions would mix two versions.
        if version_of(opened.meta) != version_of(self.meta) or opened.range[0] != offset:
            raise ChangedError
        return opened

    def _chunks(self, opened: GetResult) -> Iterator[bytes]:
        with store_errors(self._stored.address, in_body=True):
            for chunk in opened.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)


def version_of(meta: ObjectMeta) -> SourceVersion:
    """ETag and version id (at Google the generation) as the store gives them."""
    return SourceVersion(
        etag=meta["e_tag"],
        revision=meta["version"],
        modified_at=meta["last_modified"].astimezone(UTC),
    )


def is_same(version: SourceVersion, known: SourceVersion) -> bool:
    """By ETag, else by version id: an ETag outlives a copy of the same content onto itself."""
    if version.etag and known.etag:
        return version.etag == known.etag
    return version.revision is not None and version.revision == known.revision
