"""Ids in URLs."""

from __future__ import annotations

from typing import Any

from werkzeug.routing import IntegerConverter, Map

LARGEST = 2**63 - 1


class IdConverter(IntegerConverter):
    """An id that a row can have: a number that no column holds is a page that does not exist, not an error of the database."""

    def __init__(self, url_map: Map, *args: Any, **kwargs: Any) -> None:
        super().__init__(url_map, *args, **{"min": 1, "max": LARGEST, **kwargs})


def describe(_converter: Any, **_: Any) -> dict[str, Any]:
    """Return the converter's OpenAPI schema."""
    return {"type": "integer", "format": "int64", "minimum": 1}
