"""The child's environment variables: nothing of ours, and libraries kept on a short lead."""

from __future__ import annotations

_VECTOR_DRIVERS = (
    *("ADBC", "AIVector", "AmigoCloud", "AVCBin", "AVCE00", "Carto", "CSV", "CSW", "DGN", "DXF"),
    *("EDIGEO", "EEDA", "Elasticsearch", "GDALG"),
    *("GeoRSS", "GPSBabel", "GTFS", "Idrisi", "JML", "JSONFG", "KML", "LVBAG"),
    *("MapML", "MBTiles", "MiraMonVector", "MVT", "NGW", "OAPIF", "ODS"),
    *("OGCAPI", "OGR_GMT", "OGR_PDS", "OGR_VRT", "PCIDSK", "PDF", "PDS4"),
    *("PGDUMP", "PLSCENES", "PMTiles", "S57", "Selafin", "SQLite", "SXF", "VDV"),
    *("VFK", "VICAR", "WAsP", "WFS", "XLSX"),
)
_RASTER_DRIVERS = (
    *("DAAS", "DERIVED", "EEDAI", "GTI", "HTTP", "MRF", "PLMOSAIC", "STACIT", "STACTA", "TIL"),
    *("VRT", "WCS", "WMS", "WMTS"),
)


def scrubbed_environment() -> dict[str, str]:
    """No database address, no keys, no proxies, no home; GDAL without network and plugins."""
    return {
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "HOME": "/nonexistent",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        # Buffers of chunks are used again and again: giving them back to the kernel in between
        # makes it clear their pages each time, a fifth of its work for a large CSV file.
        "MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024),
        "MALLOC_TRIM_THRESHOLD_": str(64 * 1024 * 1024),
        "OGR_SKIP": ",".join(_VECTOR_DRIVERS),
        "GDAL_SKIP": ",".join(_RASTER_DRIVERS),
        "GDAL_DRIVER_PATH": "disable",
        "GDAL_PAM_ENABLED": "NO",
        "GDAL_HTTP_TIMEOUT": "1",
        "PROJ_NETWORK": "OFF",
    }
