"""Fields with strict parsing. They accept only values that the database can store."""

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma

from app.web import plaintext

# RFC 3339. Python's parser also accepts weeks and dates without a time.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,30}", re.ASCII)


def plain_text(
    max_length: int, *, one_line: bool = False, metadata: dict[str, Any], **options: Any
) -> ma.fields.String:
    """Return a field for text without control characters."""

    def check(text: str) -> None:
        if fault := plaintext.fault(text, max_length=max_length, one_line=one_line):
            raise ma.ValidationError(fault)

    limits = {"minLength": 1, "maxLength": max_length}
    return ma.fields.String(validate=check, metadata=limits | metadata, **options)


class Number(ma.fields.Integer):
    """An integer in a query. Python's int() also accepts blanks, underscores and digits of other scripts."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not _NUMBER.fullmatch(str(value)):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Timestamp(ma.fields.DateTime):
    """A time with its zone."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        time: datetime | None = None
        if isinstance(value, str) and _TIME.fullmatch(value):
            # In the first and the last year the conversion to UTC can overflow.
            with suppress(ma.ValidationError, OverflowError):
                time = super()._deserialize(value.upper(), attr, data, **kwargs).astimezone(UTC)
        if time is None:
            raise ma.ValidationError(
                "Must be a time with a zone (RFC 3339), such as 2026-05-01T12:00:00Z. In a URL, write + as %2B."
            )
        return time
