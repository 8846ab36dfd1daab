"""JSON: depth, width, and numbers of a million digits."""

from __future__ import annotations

from functools import partial

from tests.hostile.bombs import nested
from tests.hostile.traps import LOAD, TIMEOUT, TOO_BIG, trap

_JSON_CODES = (3007, LOAD, 2004, TOO_BIG, TIMEOUT, 2014)
_POINT = '{"type": "Point", "coordinates": [1, 2]}'


def _feature(geometry: str, properties: str = '{"a": 1}') -> str:
    feature = f'{{"type": "Feature", "properties": {properties}, "geometry": {geometry}}}'
    return f'{{"type": "FeatureCollection", "features": [{feature}]}}'


_AROUND = {
    "a.json": '[{"a": @}]',
    "a.ndjson": '{"a": @}\n{"a": 1}\n',
    "a.geojson": _feature(_POINT, '{"a": @}'),
    "a.topojson": '{"type": "Topology", "arcs": @, "objects": {}}',
}


def _deep(around: str, pair: tuple[str, str], depth: int) -> str:
    return around.replace("@", nested(*pair, depth))


JSON = {
    **{
        f"{depth} {what} deep in {name}": trap(
            name, partial(_deep, around, pair, depth), *_JSON_CODES, None
        )
        for depth in (1_000, 100_000, 1_000_000)
        for what, pair in (("lists", ("[", "]")), ("objects", ('{"a":', "}")))
        for name, around in _AROUND.items()
    },
    "nothing but 5,000,000 brackets": trap(
        "a.json", lambda: "[" * 5_000_000, *_JSON_CODES, 2103, 1002
    ),
    "coordinates 100,000 deep": trap(
        "a.geojson",
        lambda: _feature(f'{{"type": "Polygon", "coordinates": {nested("[", "]", 100_000)}}}'),
        *_JSON_CODES,
        None,
    ),
    "collections of geometries 10,000 deep": trap(
        "a.geojson",
        lambda: _feature(
            nested('{"type": "GeometryCollection", "geometries": [', "]}", 10_000, _POINT)
        ),
        *_JSON_CODES,
        None,
    ),
    "collections of geometries in ESRI JSON": trap(
        "a.json",
        lambda: (
            '{"geometryType": "esriGeometryPolygon", "fields": [], "features": [{"attributes": '
            f'{{}}, "geometry": {{"rings": {nested("[", "]", 100_000)}}}}}]}}'
        ),
        *_JSON_CODES,
        None,
    ),
    "a number of 1,000,000 digits": trap(
        "a.json", lambda: f'[{{"a": {"9" * 1_000_000}}}]', *_JSON_CODES, None
    ),
    "an exponent of 1,000,000 digits": trap(
        "a.json", lambda: f'[{{"a": 1e{"9" * 1_000_000}}}]', *_JSON_CODES, None
    ),
    "a text of 100 MB": trap(
        "a.json", lambda: f'[{{"a": "{"x" * 100_000_000}"}}]', *_JSON_CODES, None
    ),
    "a key of 20 MB": trap("a.json", lambda: f'[{{"{"k" * 20_000_000}": 1}}]', *_JSON_CODES, None),
    "a new key in each of 100,000 rows": trap(
        "a.ndjson",
        lambda: "".join(f'{{"k{n}": 1}}\n' for n in range(100_000)),
        *_JSON_CODES,
    ),
    "a new property in each of 50,000 features": trap(
        "a.geojson",
        lambda: (
            '{"type": "FeatureCollection", "features": ['
            + ",".join(
                f'{{"type": "Feature", "properties": {{"k{n}": 1}}, "geometry": {_POINT}}}'
                for n in range(50_000)
            )
            + "]}"
        ),
        *_JSON_CODES,
    ),
    "arcs that are not there": trap(
        "a.topojson",
        lambda: (
            '{"type": "Topology", "arcs": [], "objects": {"a": {"type": "Polygon", '
            '"arcs": [[0, 1, 4000000000, -4000000000]]}}}'
        ),
        *_JSON_CODES,
        None,
    ),
}
