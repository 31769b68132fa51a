"""IDs in URLs."""

from typing import Any

from werkzeug.routing import IntegerConverter

# The BIGINT column can store every number of 18 digits, and a pattern can check the number of digits.
MAX_ID = 10**18 - 1


class IdConverter(IntegerConverter):
    """An ID that fits into the column, so that a longer number is a 404 and not a database error.

    It uses a pattern instead of bounds. With bounds, Werkzeug answers 405 to a larger number if the rule has a view for
    another method.
    """

    regex = "[1-9][0-9]{0,17}"


def describe(_converter: Any, **_: Any) -> dict[str, Any]:
    """Return the converter's OpenAPI schema."""
    return {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}
