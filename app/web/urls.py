"""Ids in URLs."""

from __future__ import annotations

from typing import Any

from werkzeug.routing import IntegerConverter

# Of 18 digits: what fits the column, said by a pattern.
LARGEST = 10**18 - 1


class IdConverter(IntegerConverter):
    """An id that a row can have: a number that no column holds is a page that does not exist, not an error of the database.

    By its pattern instead of by bounds: of a number out of bounds Werkzeug says that the method is not allowed, where another method has a
    view of its own.
    """

    regex = "[1-9][0-9]{0,17}"


def describe(_converter: Any, **_: Any) -> dict[str, Any]:
    """Return the converter's OpenAPI schema."""
    return {"type": "integer", "format": "int64", "minimum": 1, "maximum": LARGEST}
