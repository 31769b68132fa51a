"""Keyset pages: a token names the last row that was read, so that a page costs the same at any depth and new rows shift nothing."""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Version and kind of list, then microseconds and id: a token of another list is refused.
LAYOUT = struct.Struct(">2sqq")
NEWEST = b"1n"
MOST_SECONDS = 253_402_300_800


class TokenError(ValueError):
    """A token that no page has given out."""


@dataclass(frozen=True)
class Position:
    """The last row of a page."""

    published_at: datetime
    id: int

    @property
    def token(self) -> str:
        """The position as a client sees it."""
        microseconds = (self.published_at - EPOCH) // timedelta(microseconds=1)
        return base64.urlsafe_b64encode(LAYOUT.pack(NEWEST, microseconds, self.id)).decode()

    @classmethod
    def from_token(cls, token: str) -> Self:
        """Read a token; raise TokenError where it is none."""
        try:
            packed = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
            kind, microseconds, row = LAYOUT.unpack(packed)
        except (binascii.Error, struct.error, ValueError) as error:
            raise TokenError from error
        if kind != NEWEST or not 0 <= microseconds < MOST_SECONDS * 1_000_000 or row < 1:
            raise TokenError
        return cls(EPOCH + timedelta(microseconds=microseconds), row)
