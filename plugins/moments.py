"""Points in time, as a person writes and reads them."""

import re
from datetime import UTC, datetime, timedelta, timezone

TIME = re.compile(r"(?P<time>\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?) ?(?P<zone>Z|UTC|[+-]\d\d(:?\d\d)?)?")
EXAMPLE = '"2026-11-29 03:00:00+00"'


def parsed(text: str) -> datetime:
    """Return a point in time in UTC.

    Raises:
        ValueError: If it is not a time with a time zone. The message explains what to write.
    """
    found = TIME.fullmatch(text.strip())
    if not found:
        raise ValueError(f"restore_to = {text!r} is not a point in time. Write it like {EXAMPLE}.")
    try:
        moment = datetime.fromisoformat(found["time"])
    except ValueError as error:
        raise ValueError(f"restore_to = {text!r} does not exist ({error}). Write it like {EXAMPLE}.") from error
    if not found["zone"]:
        raise ValueError(
            f"restore_to = {text!r} has no time zone, so it may mean another moment than yours. Write "
            f"{text.strip()}+00 for UTC, or the offset of your zone."
        )
    try:
        return moment.replace(tzinfo=offset(found["zone"])).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"restore_to = {text!r} does not exist in UTC. Write it like {EXAMPLE}.") from error


def offset(zone: str) -> timezone:
    """Return the time zone of Z, UTC, +01, +0130 or +01:30."""
    if zone in ("Z", "UTC"):
        return UTC
    digits = zone[1:].replace(":", "").ljust(4, "0")
    shift = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-shift if zone[0] == "-" else shift)


def shown(moment: datetime | float) -> str:
    """Return a point in time for a person."""
    if not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}+00"
