"""When the certificates on the hosts end, for `make status`."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from tools.fleet.view import Instances, Kind, State, View

DAY = 24 * 3600
# The alert CertificateExpiring fires at the same times. Another authority takes over in several steps.
MIN_DAYS, MIN_DAYS_OF_AUTHORITY = 14, 90


class Certificate(NamedTuple):
    """A certificate in a file of a host, with the time of that host, both in seconds since 1970."""

    end: float
    host: str
    file: str
    now: float

    @property
    def days(self) -> int:
        """The number of days that are left. Less than 0 if it has expired."""
        return int((self.end - self.now) // DAY)

    @property
    def date(self) -> str:
        """The day on which it ends."""
        return f"{datetime.fromtimestamp(self.end, UTC):%Y-%m-%d}"


def found(view: View) -> Iterator[Certificate]:
    """Yield the certificates of all hosts."""
    for name, facts in view.items():
        for file, end in (facts.get("certificates") or {}).get("ends", []):
            yield Certificate(end, name, file, facts["certificates"]["now"])


def next_to_end(view: View) -> list[str]:
    """Return a line about the certificate that ends next. There is none if no host knows one."""
    first = min(found(view), default=None)
    if first is None:
        return []
    return [f"The next certificate to end is {first.file} on {first.host}, in {first.days} days ({first.date})"]


def expiring(state: State) -> Instances:
    """Certificates that end soon, those of an authority earlier than others."""
    for each in sorted(found(dict(state.answering()))):
        minimum = MIN_DAYS_OF_AUTHORITY if each.file.rpartition("/")[2].startswith("ca.") else MIN_DAYS
        if each.end - each.now < minimum * DAY:
            yield {"host": each.host, "file": each.file, "date": each.date}


CERTIFICATES = (
    Kind(
        "certificate-expiring",
        "the certificate in {file} on {host} ends on {date}",
        expiring,
        "see docs/operations.md#certificateexpiring",
        redundant=True,
    ),
)
