"""Keyset pagination: a page token contains the last row of the page before it.

A page costs the same at any depth, and new rows do not move the others.
"""

import base64
import binascii
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The list with its filters, microseconds, row ID. A token of another list or other filters is refused.
LAYOUT = struct.Struct(">8sqq")
NEWEST = b"newest-2"
# The end of the year 9999, the maximum of datetime.
MAX_SECONDS = 253_402_300_800


class TokenError(ValueError):
    """The token does not come from a page of this list."""


@dataclass(frozen=True)
class Position:
    """The last row of a page."""

    published_at: datetime
    id: int
    # The list that the page belongs to.
    of: bytes = NEWEST

    @property
    def token(self) -> str:
        """The position as a token for clients."""
        microseconds = (self.published_at - EPOCH) // timedelta(microseconds=1)
        return base64.urlsafe_b64encode(LAYOUT.pack(self.of, microseconds, self.id)).decode()

    @classmethod
    def from_token(cls, token: str, of: bytes = NEWEST) -> Self:
        """Parse a token of a list; raise TokenError if it is not one."""
        try:
            packed = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
            found, microseconds, row = LAYOUT.unpack(packed)
        except (binascii.Error, struct.error, ValueError) as error:
            raise TokenError from error
        if found != of or not 0 <= microseconds < MAX_SECONDS * 1_000_000 or row < 1:
            raise TokenError
        return cls(EPOCH + timedelta(microseconds=microseconds), row, of)
