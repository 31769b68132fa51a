#!/usr/bin/python3 -I
"""Write when the certificates in the given files end, for the node exporter. Files that do not exist are left out."""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

METRICS = Path("/var/lib/prometheus/node-exporter/certificates.prom")
NAME = "flaskfleet_certificate_end_seconds"
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
COMMAND = ["openssl", "x509", "-noout", "-enddate", "-dateopt", "iso_8601"]


def end(certificate: str) -> float:
    """Return when a certificate ends, in seconds since 1970."""
    done = subprocess.run(COMMAND, input=certificate, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise ValueError(done.stderr.strip().splitlines()[0])
    return datetime.fromisoformat(done.stdout.strip().removeprefix("notAfter=")).timestamp()


def ends(path: Path) -> Iterator[str]:
    """Yield a line for each certificate in a file. Its number is its place: the first one is that of the server."""
    found = CERTIFICATE.findall(path.read_text())
    if not found:
        raise ValueError("no certificate")
    for number, certificate in enumerate(found, 1):
        yield f'{NAME}{{file="{path}",number="{number}"}} {end(certificate):.0f}\n'


def render(paths: Iterable[Path]) -> tuple[str, list[str]]:
    """Return the metrics, and a sentence for each file that cannot be read."""
    lines, failures = [], []
    for path in paths:
        try:
            lines += list(ends(path))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            failures.append(f"{path}: {error}")
    head = f"# HELP {NAME} When a certificate in a file ends.\n# TYPE {NAME} gauge\n"
    return head + "".join(lines), failures


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
