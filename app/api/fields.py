"""Fields that take what every tier can keep, and nothing that merely looks like it."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma

from app.web import plaintext

# RFC 3339, of which Python's own parser is too generous: it takes weeks and dates without a time.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,30}", re.ASCII)


class PlainText(ma.fields.String):
    """Text that readers see as it was written."""

    def __init__(self, *, longest: int, one_line: bool = False, **options: Any) -> None:
        """Take at most `longest` characters."""
        super().__init__(**options)
        self.longest = longest
        self.one_line = one_line
        self.metadata = {"minLength": 1, "maxLength": longest, **self.metadata}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if fault := plaintext.fault(text, longest=self.longest, one_line=self.one_line):
            raise ma.ValidationError(fault)
        return text


class Number(ma.fields.Integer):
    """A whole number of a query: digits alone, where Python would take blanks, underscores and the digits of other scripts."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not _NUMBER.fullmatch(str(value)):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Moment(ma.fields.DateTime):
    """A point in time, with its zone."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        moment: datetime | None = None
        if isinstance(value, str) and _MOMENT.fullmatch(value):
            # Of the first and the last year there is no UTC everywhere.
            with suppress(ma.ValidationError, OverflowError):
                moment = super()._deserialize(value.upper(), attr, data, **kwargs).astimezone(UTC)
        if moment is None:
            raise ma.ValidationError(
                "Is not a time of RFC 3339 with its zone, such as 2026-05-01T12:00:00Z. In a URL, + is written %2B."
            )
        return moment
