"""The contents cannot become rows, columns and shapes: read and infer."""

from __future__ import annotations

from synctables.errors.family import TerminalError


class LoadError(TerminalError):
    code = 2001
    title = "Unable to load data"
    hint = "The file could not be read. Check that it opens in the program that made it."


class EncodingDetectionError(TerminalError):
    code = 2002
    title = "Encoding detection error"
    hint = "The text's encoding could not be told. Save the file as UTF-8."


class MalformedCsvError(TerminalError):
    code = 2003
    title = "Malformed CSV"
    hint = "Most rows do not fit the header. Check delimiter and quotes."


class TooManyColumnsError(TerminalError):
    code = 2004
    title = "Too many columns"
    hint = (
        "A table can have 1,600 columns at most, three of them ours, and about 400 to 1,000 where "
        "every cell of a row holds something. Remove some."
    )


class EncodingError(TerminalError):
    code = 2006
    title = "Encoding error"
    hint = "Some bytes or file names are not valid text. Save the file as UTF-8."


class MalformedSpreadsheetError(TerminalError):
    code = 2008
    title = "Malformed XLS"
    hint = "The workbook cannot be opened. Save it again as .xlsx."


class InvalidGeometriesError(TerminalError):
    code = 2014
    title = "Invalid geometries"
    hint = "Some shapes cannot be repaired. Mend them in a GIS and publish the file again."


class InvalidGeoJsonError(TerminalError):
    code = 3007
    title = "JSON may not be valid GeoJSON"
    hint = "Check the file with a GeoJSON validator."


class UnknownSridError(TerminalError):
    code = 3008
    title = "Unknown SRID"
    hint = "The file does not say in which coordinate system it is. Add it (for example a .prj)."


class EmptyKmlError(TerminalError):
    code = 3202
    title = "Empty KML"
    hint = "The KML only links to another one. Use the address that it links to."
