"""When the certificates on the hosts end, for `make status`."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from tools.fleet.view import Instances, Kind, State, View, utc

DAY = 24 * 3600
# The alert CertificateExpiring fires at the same times. A certificate for a few days is renewed when a third or
# half of its life is left. Another authority takes over in several steps.
MIN_DAYS, MIN_DAYS_OF_AUTHORITY, MIN_SHARE = 14, 90, 0.25


class Certificate(NamedTuple):
    """A certificate in a file of a host, with the time of that host, both in seconds since 1970."""

    end: float
    host: str
    file: str
    begin: float
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
        for file, end, begin in (facts.get("certificates") or {}).get("ends", []):
            yield Certificate(end, name, file, begin, facts["certificates"]["now"])


def next_to_end(view: View) -> list[str]:
    """Return a line about the certificate that ends next. There is none if no host knows one."""
    first = min(found(view), default=None)
    if first is None:
        return []
    return [f"The next certificate to end is {first.file} on {first.host}, in {first.days} days ({first.date})"]


def expiring(state: State) -> Instances:
    """Certificates that end soon, those of an authority earlier than others."""
    for each in sorted(found(dict(state.answering()))):
        authority = each.file.rpartition("/")[2].startswith("ca.")
        minimum = MIN_DAYS_OF_AUTHORITY * DAY if authority else min(MIN_DAYS * DAY, MIN_SHARE * (each.end - each.begin))
        if each.end - each.now < minimum:
            yield {"host": each.host, "file": each.file, "date": each.date}


def not_issued(state: State) -> Instances:
    """Load balancers to which the CA of the site gives no certificate."""
    for name, facts in state.answering("loadbalancers"):
        if note := facts.get("site_certificate"):
            yield {"host": name, "when": utc(note["since"]), "error": note["error"]}


CERTIFICATES = (
    Kind(
        "certificate-not-issued",
        "{host} gets no certificate from the CA ({error}; since {when})",
        not_issued,
        "see docs/operations.md#sitecertificatefailing",
        redundant=True,
    ),
    Kind(
        "certificate-expiring",
        "the certificate in {file} on {host} ends on {date}",
        expiring,
        "see docs/operations.md#certificateexpiring",
        redundant=True,
    ),
)
