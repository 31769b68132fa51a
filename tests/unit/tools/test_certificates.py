"""What `make status` prints about the ends of certificates."""

from pathlib import Path
from typing import Any

import pytest

from plugins.certificates import ca_pair, leaf
from tests.unit.roles.modules import ROLES, load
from tests.unit.tools.fleet_views import HOSTS, changed
from tools.fleet import host_facts
from tools.fleet.certificates import DAY, next_to_end
from tools.fleet.troubles import redundancy_troubles, troubles

NOW = 1795000000.0
LEAF, CA = "/etc/fleet-tls/cert.pem", "/etc/fleet-tls/ca.pem"
SITE = "/etc/nginx/tls.pem"


def ending(**days: float) -> dict[str, Any]:
    """Return the facts of a host whose certificates end in so many days."""
    files = {"leaf": LEAF, "ca": CA, "short": SITE}
    # Of ten years, except for one of six days. Hosts of an older release know no beginning.
    begins = {"leaf": NOW - 3650 * DAY, "ca": 0.0, "short": NOW + (days.get("short", 0) - 6) * DAY}
    ends = [[files[name], NOW + left * DAY, begins[name]] for name, left in days.items()]
    return {"certificates": {"ends": ends, "now": NOW}}


def test_the_certificate_that_ends_next_is_reported() -> None:
    view = changed(db1=ending(ca=3000, leaf=300), lb1=ending(ca=3000, leaf=299.5), mon1=None)
    assert next_to_end(view) == [f"The next certificate to end is {LEAF} on lb1, in 299 days (2027-09-13)"]
    assert next_to_end(changed()) == [], "a fleet of an older release"


@pytest.mark.parametrize(
    ("days", "reported"),
    [
        ({"leaf": 15, "ca": 91}, None),
        ({"leaf": 13, "ca": 91}, f"the certificate in {LEAF} on db1 ends on 2026-12-01"),
        ({"leaf": -1, "ca": 91}, f"the certificate in {LEAF} on db1 ends on 2026-11-17"),
        ({"short": 1.6}, None),
        ({"short": 1.4}, f"the certificate in {SITE} on db1 ends on 2026-11-19"),
        ({"leaf": 300, "ca": 89}, f"the certificate in {CA} on db1 ends on 2027-02-15"),
    ],
)
def test_a_certificate_that_ends_soon_is_a_trouble(days: dict[str, float], reported: str | None) -> None:
    view = changed(db1=ending(**days))
    assert [trouble.sentence for trouble in troubles(HOSTS, view)] == ([reported] if reported else [])
    assert redundancy_troubles(HOSTS, view) == [], "a maintenance may begin"


def test_the_probe_reads_what_the_host_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = load(ROLES / "certificates/files/certificate_metrics.py")
    (tmp_path / "ca.pem").write_text(certificate := ca_pair("test_ca_")[1])
    monkeypatch.setattr(host_facts, "CERTIFICATES", tmp_path / "certificates.prom")
    host_facts.CERTIFICATES.write_text(program.render([tmp_path / "ca.pem"])[0])
    found = leaf(certificate)
    times = [int(time.timestamp()) for time in (found.not_valid_after_utc, found.not_valid_before_utc)]
    assert host_facts.certificates()["ends"] == [[str(tmp_path / "ca.pem"), *times]]
