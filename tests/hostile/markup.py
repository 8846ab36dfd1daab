"""XML: entities, depth, foreign documents; maps and the parts of workbooks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.hostile import bombs
from tests.hostile.bombs import ROW, cell, nested
from tests.hostile.traps import LOAD, TIMEOUT, TOO_BIG, trap

_KML = "http://www.opengis.net/kml/2.2"
_GML = "http://www.opengis.net/gml/3.2"
_PLACE = "<Placemark><name>{0}</name><Point><coordinates>1,2</coordinates></Point></Placemark>"
_PAGES = {
    "kml": ("a.kml", "kml", f"<kml xmlns='{_KML}'>{_PLACE.format('&e11;')}</kml>"),
    "gpx": ("a.gpx", "gpx", "<gpx version='1.1' xmlns='http://www.topografix.com/GPX/1/1'>"
            "<wpt lat='1' lon='2'><name>&e11;</name></wpt></gpx>"),
    "gml": ("a.gml", "x", f"<x xmlns:gml='{_GML}'><gml:featureMember><T gml:id='a'><n>&e11;</n>"
            "<g><gml:Point><gml:pos>1 2</gml:pos></gml:Point></g></T></gml:featureMember></x>"),
    "osm": ("a.osm", "osm", "<osm version='0.6'><node id='1' lat='1' lon='2'>"
            "<tag k='name' v='&e11;'/></node></osm>"),
}  # fmt: skip
_SHEET_BODY = f'<row r="1">{cell("A1", "&e11;", "str")}</row><row r="2">{cell("A2")}</row>'
_ODS_BODY = (
    "<office:document-content xmlns:office='urn:oasis:names:tc:opendocument:xmlns:office:1.0' "
    "xmlns:table='urn:oasis:names:tc:opendocument:xmlns:table:1.0' "
    "xmlns:text='urn:oasis:names:tc:opendocument:xmlns:text:1.0'><office:body><office:spreadsheet>"
    "<table:table table:name='S'><table:table-row><table:table-cell office:value-type='string'>"
    "<text:p>&e11;</text:p></table:table-cell></table:table-row></table:table>"
    "</office:spreadsheet></office:body></office:document-content>"
)
Wrap = Callable[[str, str], bytes]
_WAYS: dict[str, Wrap] = {
    "entities that multiply": bombs.entities,
    "a long entity, often": bombs.quadratic,
    "an entity outside": partial(bombs.external, "file://{secret}"),
    "an entity at an address": partial(bombs.external, "http://127.0.0.1:{port}/x"),
}
_MARKUP_CODES = (LOAD, TOO_BIG, TIMEOUT, 2008, 2103, 1002, 1005, 3202, 3008, 2003, 2004, None)


def _in_a_worksheet(wrap: Wrap) -> bytes:
    return bombs.workbook(wrap("worksheet", bombs.worksheet(_SHEET_BODY)).decode())


def _in_an_index(wrap: Wrap) -> bytes:
    return bombs.workbook(bombs.worksheet(ROW), more=wrap("workbook", "").decode())


def _in_an_open_document(wrap: Wrap) -> bytes:
    return bombs.ods_with_content(wrap("office:document-content", _ODS_BODY))


MARKUP = {
    **{
        f"{way} in {kind}": trap(name, partial(wrap, root, body), *_MARKUP_CODES)
        for way, wrap in _WAYS.items()
        for kind, (name, root, body) in _PAGES.items()
    },
    **{
        f"{way} in {place}": trap(f"a.{suffix}", partial(make, wrap), *_MARKUP_CODES)
        for way, wrap in _WAYS.items()
        for place, suffix, make in (
            ("a worksheet", "xlsx", _in_a_worksheet),
            ("a workbook's index", "xlsx", _in_an_index),
            ("an open document", "ods", _in_an_open_document),
        )
    },
    "KML 200,000 folders deep": trap(
        "a.kml",
        lambda: (
            f"<kml xmlns='{_KML}'>"
            + nested("<Folder>", "</Folder>", 200_000, _PLACE.format("a"))
            + "</kml>"
        ),
        *_MARKUP_CODES,
    ),
    "GML 200,000 elements deep": trap(
        "a.gml",
        lambda: f"<x xmlns:gml='{_GML}'>" + nested("<gml:a>", "</gml:a>", 200_000) + "</x>",
        *_MARKUP_CODES,
    ),
    "GPX 200,000 elements deep": trap(
        "a.gpx",
        lambda: (
            "<gpx xmlns='http://www.topografix.com/GPX/1/1'><wpt lat='1' lon='2'><extensions>"
            + nested("<a>", "</a>", 200_000)
            + "</extensions></wpt></gpx>"
        ),
        *_MARKUP_CODES,
    ),
    "open document 1,000,000 elements deep": trap(
        "a.ods",
        lambda: bombs.ods_with_content(
            _ODS_BODY.replace("&e11;", nested("<text:p>", "</text:p>", 1_000_000)).encode()
        ),
        *_MARKUP_CODES,
    ),
    "an element with 200,000 attributes": trap(
        "a.kml",
        lambda: (
            f"<kml xmlns='{_KML}'><Placemark "
            + " ".join(f"a{n}='1'" for n in range(200_000))
            + "><Point><coordinates>1,2</coordinates></Point></Placemark></kml>"
        ),
        *_MARKUP_CODES,
    ),
    "a name of 50 MB": trap(
        "a.kml", lambda: f"<kml xmlns='{_KML}'><{'x' * 50_000_000}/></kml>", *_MARKUP_CODES
    ),
    "a comment that does not end": trap("a.kml", lambda: "<!--" + "-" * 5_000_000, *_MARKUP_CODES),
    "a link of KML to the secret": trap(
        "a.kml",
        lambda: (
            f"<kml xmlns='{_KML}'><NetworkLink><Link><href>file://{{secret}}</href></Link>"
            f"</NetworkLink>{_PLACE.format('a')}</kml>"
        ),
        None,
    ),
    "a link of GML to the secret": trap(
        "a.gml",
        lambda: (
            f"<x xmlns:gml='{_GML}' xmlns:xlink='http://www.w3.org/1999/xlink' "
            "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' "
            "xsi:schemaLocation='a file://{secret} b http://127.0.0.1:{port}/a.xsd'>"
            "<gml:featureMember><T gml:id='a'><g xlink:href='file://{secret}#a'/>"
            "<n xlink:href='http://127.0.0.1:{port}/'>x</n></T></gml:featureMember></x>"
        ),
        *_MARKUP_CODES,
    ),
}
