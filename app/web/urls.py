"""IDs in URLs."""

from __future__ import annotations

from typing import Any

from werkzeug.routing import IntegerConverter

# 18 digits fit into the column, and a pattern can check that.
MAX_ID = 10**18 - 1


class IdConverter(IntegerConverter):
    """An ID that fits into the column, so that a longer number is a 404 and not a database error.

    Uses a pattern instead of bounds: for a number out of bounds, Werkzeug answers 405 if another method has a view.
    """

    regex = "[1-9][0-9]{0,17}"


def describe(_converter: Any, **_: Any) -> dict[str, Any]:
    """Return the converter's OpenAPI schema."""
    return {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}
