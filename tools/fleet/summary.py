"""The last lines of `make up`: what answers, how to log in, what is wrong, and what to try next."""

import subprocess
from collections.abc import Callable
from typing import Any

from tools.fleet.context import Fleet, FleetError, Host, echo
from tools.fleet.inventory import Inventory, read
from tools.fleet.notes import notes
from tools.fleet.status import probe_hosts
from tools.fleet.troubles import troubles
from tools.fleet.view import View

# Kinds of trouble that show a wrong guess in the application's variables. Others may pass by within seconds.
OF_THE_APPLICATION = ("app-not-ready", "health-path-missing", "front-page-fails")
MAIL_PORT = ":1025"


def summary(fleet: Fleet, durations: dict[str, float]) -> None:
    """Print durations, URLs, how to log in, what is wrong with the application, and what to try next."""
    urls, inventory = fleet.outputs()["urls"], read(fleet)
    suffix = "" if fleet.name == fleet.folder.name else f" FLEET={fleet.name}"
    suffix += "" if fleet.inventory == "sandbox" else f" INVENTORY={fleet.inventory}"
    echo(f"\n== The fleet {fleet.name} is up")
    for name, seconds in durations.items():
        echo(f"  {seconds:6.1f} s  {name}")
    echo("")
    up = {name for name, url in urls.items() if responds(url)}
    for name, url in urls.items():
        problem = "not installed: site.yml printed the reason" if name == "grafana" else "does not answer"
        echo(f"  {name:<13} {url if name in up else f'{url} ({problem})'}")
    echo("")
    for line in log_ins(lambda name: known(inventory, name), suffix):
        echo(f"  {line}")
    if "grafana" in up:
        echo(f"  Grafana     log in as admin, password: make secret NAME=grafana_admin_password{suffix}")
    echo(f"  Hosts       make ssh HOST={inventory.hosts[-1].name}{suffix}")
    echo(f"  Try next    curl --noproxy '*' --insecure {urls['site']}")
    echo(f"              make status{suffix}           shows the primary and whether everything is healthy")
    echo(f"              make down{suffix}             removes everything")
    view = probe_hosts(inventory.hosts, inventory.shells, inventory.settings["fleet_vip"] or "", inventory.settings)
    for line in notes(inventory.hosts, view):
        echo(f"\n  Backups     {line}")
    for line in wrong_guesses(inventory.hosts, view):
        echo(f"\n  Correct     {line}")


def known(inventory: Inventory, name: str) -> Any:
    """Return a variable, or None if it is not set, or needs the defaults of a role."""
    try:
        return inventory.value(name)
    except FleetError:
        return None


def log_ins(value: Callable[[str], Any], suffix: str) -> list[str]:
    """Describe how to log in to the application that runs, and where its e-mails go."""
    lines = []
    administrator = value("app_admin_email")
    # The file of another application may still set the address.
    if administrator and str(administrator) in str(value("app_setup_commands")):
        lines.append(
            f"The site    log in as {administrator}, password: make secret NAME=app_admin_password{suffix}",
        )
    if str(value("app_mail_url") or "").endswith(MAIL_PORT):
        lines.append(f"E-mails     make mail{suffix}             shows those that the application sends: keep it open")
    return lines


def wrong_guesses(hosts: list[Host], view: View) -> list[str]:
    """Return what is wrong with the application's variables, as its hosts answer now."""
    found = [trouble for trouble in troubles(hosts, view) if trouble.kind.name in OF_THE_APPLICATION]
    return [f"{trouble.sentence}; {trouble.step}." for trouble in found]


def responds(url: str) -> bool:
    """Whether `url` answers below 500, as a page for logged-in users does. The certificate is not verified."""
    options = "--silent --insecure --max-time 5 --noproxy * --output /dev/null --write-out %{http_code}"
    code = subprocess.run(["curl", *options.split(), url], capture_output=True, text=True, check=False).stdout
    return code[:1] in {"2", "3", "4"}
