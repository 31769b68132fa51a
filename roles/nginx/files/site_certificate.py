#!/usr/bin/python3 -I
"""Get the site's certificate from a CA, or renew it, and give it to nginx. Runs every hour.

Without an answer of the CA nginx keeps what it has. This program runs again, so it never fails for such a reason:
metrics and a note report it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SETTINGS = Path("/etc/nginx/acme.json")
# Not certbot's own folders, so that certbot.timer and other certificates of this host are left alone.
STATE = Path("/var/lib/flaskfleet/acme")
WEBROOT = Path("/var/www/acme")
HOOK = Path("/etc/nginx/acme-dns-hook")
CA = Path("/etc/nginx/acme-ca.pem")
NGINX = Path("/etc/nginx/nginx.conf")
PAIR = Path("/etc/nginx/tls.pem")
HSTS = Path("/etc/nginx/hsts.conf")
# When nginx last read its files (see nginx.service.d).
LOADED = Path("/run/nginx.loaded")
NOTE = Path("/var/lib/flaskfleet/site-certificate.json")
METRICS = Path("/var/lib/prometheus/node-exporter/site_certificate.prom")
NAME = "flaskfleet_site_certificate_failing_since_seconds"
# Longer than a hook that waits for the name servers.
TIMEOUT = 1500
# Lines of certbot that have no cause.
BOILERPLATE = re.compile(r"Saving debug log|Ask for help|See the logfile|Some challenges have failed|Hint:|- - -")


def certbot(settings: dict[str, Any]) -> list[str]:
    """Return the command that gets a certificate if there is none for these names, or if it is time to renew it."""
    command = ["certbot", "certonly", "--non-interactive", "--agree-tos", "--no-eff-email", "--cert-name=site"]
    command += [f"--config-dir={STATE}", f"--work-dir={STATE}/work", f"--logs-dir={STATE}/logs", "--max-log-backups=99"]
    command += [f"--email={settings['email']}", f"--server={settings['directory']}", "--renew-with-new-domains"]
    command += [f"--preferred-profile={settings['profile']}"] if settings["profile"] else []
    command += ["--keep-until-expiring"] if served_by(settings["directory"]) else ["--force-renewal"]
    if settings["dns"]:
        command += ["--manual", "--preferred-challenges=dns"]
        command += [f"--manual-auth-hook={HOOK} add", f"--manual-cleanup-hook={HOOK} remove"]
    else:
        command += ["--webroot", f"--webroot-path={WEBROOT}"]
    return [*command, f"--domains={','.join(settings['names'])}"]


def served_by(directory: str) -> bool:
    """Whether the certificate is of this CA. Also if there is none yet."""
    renewal = STATE / "renewal/site.conf"
    return not renewal.exists() or f"\nserver = {directory}\n" in renewal.read_text()


def cause(output: str) -> str:
    """Return why certbot failed, in one line: what the CA says about each name, or else certbot's last words."""
    text = output.replace("\n          ", " ")
    refused = re.findall(r"^\s*(?:Domain|Identifier): (\S+)\n.*\n\s*Detail: (.+)$", text, re.MULTILINE)
    if refused:
        return "; ".join(f"{name}: {detail.strip()}" for name, detail in refused)
    lines = [line.strip() for line in output.splitlines() if line.strip() and not BOILERPLATE.search(line)]
    if "An unexpected error occurred:" in lines[:-1]:
        return lines[lines.index("An unexpected error occurred:") + 1]
    return lines[-1] if lines else "certbot failed without a reason"


def obtain(settings: dict[str, Any]) -> str:
    """Run certbot. Return why it failed, or nothing."""
    environment = os.environ | {name: str(value) for name, value in settings["environment"].items()}
    environment |= {"REQUESTS_CA_BUNDLE": str(CA)} if settings["ca"] else {}
    for attempt in (1, 2):
        try:
            done = subprocess.run(
                certbot(settings),
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"certbot did not end within {TIMEOUT} s"
        if not done.returncode:
            return ""
        # A CA that has lost its accounts. The next attempt creates another one.
        url = urlsplit(settings["directory"])
        account = STATE / "accounts" / url.netloc / url.path.strip("/")
        if attempt > 1 or not account.is_dir() or not account_is_unknown():
            break
        shutil.rmtree(account)
    return cause(done.stdout)


def account_is_unknown() -> bool:
    """Whether the CA does not know the account any more. certbot's output has only the CA's own words for it."""
    log = STATE / "logs/letsencrypt.log"
    return log.exists() and "urn:ietf:params:acme:error:accountDoesNotExist" in log.read_text(errors="replace")


def issued() -> str:
    """Return the key and the certificate of the CA. Empty if there is none, or if it has expired."""
    key, chain = (STATE / "live/site" / name for name in ("privkey.pem", "fullchain.pem"))
    if not chain.exists():
        return ""
    valid = subprocess.run(["openssl", "x509", "-noout", "-checkend", "0", "-in", chain], capture_output=True)
    return f"{key.read_text().strip()}\n{chain.read_text().strip()}\n" if valid.returncode == 0 else ""


def self_signed() -> bool:
    """Whether nginx has a certificate that nobody else has signed, or none."""
    command = ["openssl", "x509", "-noout", "-subject", "-issuer", "-in", PAIR]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return len({line.partition("=")[2].strip() for line in lines}) < 2


def write(path: Path, text: str, mode: int) -> None:
    """Write a file beside the old one and check it within nginx's whole configuration. Then replace the old one.

    Raises:
        ValueError: nginx rejects it.
    """
    new, configuration = path.with_suffix(".new"), NGINX.with_suffix(".check")
    new.touch(mode=0o600)
    new.chmod(mode)
    new.write_text(text)
    configuration.write_text(NGINX.read_text().replace(str(path), str(new)))
    checked = subprocess.run(["nginx", "-t", "-q", "-c", configuration], capture_output=True, text=True, check=False)
    configuration.unlink()
    if checked.returncode:
        new.unlink()
        raise ValueError(f"nginx rejects {path}: {checked.stderr.strip()}")
    new.replace(path)


def hsts(settings: dict[str, Any]) -> str:
    """Nginx's part about Strict-Transport-Security, which it sends only with a certificate that users may trust."""
    value = f"max-age={settings['hsts']}" if settings["hsts"] and not self_signed() else ""
    return f'map $host $hsts {{\n    default "{value}";\n}}\n'


def install(settings: dict[str, Any]) -> None:
    """Give nginx the certificate of the CA, if there is one.

    Raises:
        ValueError: nginx rejects it.
    """
    pair = issued()
    if pair and (not PAIR.exists() or PAIR.read_text() != pair):
        write(PAIR, pair, 0o600)
        print(f"Installed another certificate for {', '.join(settings['names'])}")
    if not HSTS.exists() or HSTS.read_text() != hsts(settings):
        write(HSTS, hsts(settings), 0o644)
    loaded = LOADED.stat().st_mtime if LOADED.exists() else 0
    if any(path.stat().st_ctime > loaded for path in (PAIR, HSTS)):
        command = ["systemctl", "try-reload-or-restart", "nginx"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(f"nginx does not load its certificate: {done.stderr.strip()}")


def record(failure: str) -> None:
    """Write since when it fails, and why, for `make status` and for the node exporter."""
    before = json.loads(NOTE.read_text()) if NOTE.exists() else {}
    since = before.get("since", int(time.time())) if failure else 0
    head = f"# HELP {NAME} Since when the CA has given no certificate.\n# TYPE {NAME} gauge\n"
    replace(METRICS, f"{head}{NAME} {since}\n")
    if failure:
        replace(NOTE, json.dumps({"since": since, "error": failure}) + "\n")
    else:
        NOTE.unlink(missing_ok=True)


def replace(path: Path, text: str) -> None:
    """Write a file that everybody may read, and then move it to its place."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.chmod(0o644)
    part.replace(path)


def main() -> None:
    settings = json.loads(SETTINGS.read_text())
    failures = [obtain(settings)]
    try:
        install(settings)
    except ValueError as error:
        failures.append(str(error))
    failure = "; ".join(filter(None, failures))
    record(failure)
    if failure:
        print(f"<3>No certificate for {', '.join(settings['names'])}: {failure}", file=sys.stderr)


if __name__ == "__main__":
    main()
