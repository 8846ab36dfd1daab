"""The archive or the file as such is not usable: unpack and detection."""

from __future__ import annotations

from synctables.errors.family import TerminalError


class UnsupportedFileError(TerminalError):
    code = 1002
    title = "Unsupported/Unrecognized file type"
    hint = (
        "Supported are CSV and other delimited text, XLSX, XLS, XLSB, ODS, GeoJSON, TopoJSON, "
        "ESRI JSON, plain JSON and NDJSON, zipped Shapefile, MapInfo and FileGDB, GeoPackage, "
        "FlatGeobuf, KML, KMZ, GPX, GML, OSM and Parquet, alone or inside zip, tar, gz, bz2, xz, "
        "zst, 7z or rar. Raster is out of scope."
    )


class RasterError(UnsupportedFileError):
    """The same code for what is no table and no vector map, but might be taken for a map."""

    code = 1002
    hint = "Publish the data as a table or a vector map."


class DecompressionError(TerminalError):
    code = 1003
    title = "Decompression error"
    hint = "The archive is broken or too large when unpacked. Make it anew and check that it opens."


class EmptyFileError(TerminalError):
    code = 1005
    title = "Empty file"
    hint = "The file holds nothing to make a table of."


class InvalidShapefileError(TerminalError):
    code = 1006
    title = "Invalid SHP file"
    hint = (
        "A shapefile needs its .shp, .shx and .dbf together in one archive; a MapInfo table its "
        ".tab, .dat, .map and .id."
    )


class PasswordProtectedError(TerminalError):
    code = 1018
    title = "File is password protected"
    hint = "Remove the password from the archive or workbook and publish it again."


class TooManyLayersError(TerminalError):
    code = 1019
    title = "Too Many Layers"
    hint = "A file may hold 50 layers at most. Split it."


class LayerDisappearedError(TerminalError):
    code = 1024
    title = "Layer disappeared"
    hint = "The file no longer has the layer that this sync follows. Set another with `layer`."
