#!/usr/bin/python3 -I
"""Write when certificates begin and end, for the node exporter. Files that do not exist are left out."""

import re
import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

METRICS = Path("/var/lib/prometheus/node-exporter/certificates.prom")
NAMES = {
    "flaskfleet_certificate_end_seconds": "When a certificate in a file ends.",
    "flaskfleet_certificate_begin_seconds": "When a certificate in a file began to be valid.",
}
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
COMMAND = ["openssl", "x509", "-noout", "-enddate", "-startdate", "-dateopt", "iso_8601"]


def times(certificate: str) -> list[float]:
    """Return when a certificate ends and when it begins, in seconds since 1970."""
    done = subprocess.run(COMMAND, input=certificate, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise ValueError(done.stderr.strip().splitlines()[0])
    dates = dict(line.split("=") for line in done.stdout.splitlines())
    return [datetime.fromisoformat(dates[name]).timestamp() for name in ("notAfter", "notBefore")]


def times_in(path: Path) -> list[list[float]]:
    """Return the times of each certificate in a file. The first one is that of the server."""
    found = CERTIFICATE.findall(path.read_text())
    if not found:
        raise ValueError("no certificate")
    return [times(certificate) for certificate in found]


def render(paths: Iterable[Path]) -> tuple[str, list[str]]:
    """Return the metrics, and a sentence for each file that cannot be read."""
    found, failures = {}, []
    for path in paths:
        try:
            found[path] = times_in(path)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            failures.append(f"{path}: {error}")
    lines = []
    for index, (name, what) in enumerate(NAMES.items()):
        lines += [f"# HELP {name} {what}", f"# TYPE {name} gauge"]
        for path, certificates in found.items():
            for number, each in enumerate(certificates, 1):
                lines.append(f'{name}{{file="{path}",number="{number}"}} {each[index]:.0f}')
    return "\n".join(lines) + "\n", failures


def main() -> None:
    text, failures = render(map(Path, sys.argv[1:]))
    part = METRICS.with_suffix(".part")
    part.write_text(text)
    part.chmod(0o644)
    part.replace(METRICS)
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
