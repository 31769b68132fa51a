"""Pebble, a small CA for tests of ACME, and its name server. Both run on this machine, at the fleet's gateway."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from plugins.certificates import tls_pair
from tests.support.live.fleet import eventually
from tests.unit.roles.programs import find_program

API, MANAGEMENT, NAMES, DNS = 14000, 15000, 8055, 8053


class Pebble:
    """A CA that checks port 80 of every name at the address that `point` sets.

    Each start has another root, and knows no accounts of earlier ones.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        self.program = find_program("pebble", "-h", "pebble")
        key, self.server_ca = tls_pair("pebble.test", address)
        (folder / "key.pem").write_text(key)
        (folder / "cert.pem").write_text(self.server_ca)
        self._running = ExitStack()

    @property
    def directory(self) -> str:
        """The URL of its directory."""
        return f"https://{self.address}:{API}/dir"

    def start(self, validity: int) -> None:
        """Start it. Its certificates are valid for so many seconds."""
        settings = {
            "listenAddress": f"{self.address}:{API}",
            "managementListenAddress": f"{self.address}:{MANAGEMENT}",
            "certificate": str(self.folder / "cert.pem"),
            "privateKey": str(self.folder / "key.pem"),
            "httpPort": 80,
            "tlsPort": 443,
            "certificateValidityPeriod": validity,
        }
        (self.folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
        environment = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"}
        command = [self.program, "-config", str(self.folder / "pebble.json"), "-dnsserver", f"{self.address}:{DNS}"]
        self._running = self._start(command, environment)
        assert eventually(lambda: bool(self.root), within=20)

    def stop(self) -> None:
        """Stop it: the CA is away."""
        self._running.close()

    @property
    def root(self) -> str:
        """The certificate of its CA."""
        return httpx.get(f"https://{self.address}:{MANAGEMENT}/roots/0", verify=False, trust_env=False).text

    def point(self, address: str) -> bool:
        """Let all names point to an address. Whether the name server has accepted it."""
        url = f"http://{self.address}:{NAMES}/set-default-ipv4"
        return httpx.post(url, json={"ip": address}, trust_env=False).status_code == httpx.codes.OK

    def _start(self, command: list[str], environment: dict[str, str]) -> ExitStack:
        stack = ExitStack()
        log = stack.enter_context((self.folder / f"{Path(command[0]).name}.log").open("a"))
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        return stack

    @contextmanager
    def names(self) -> Iterator[None]:
        """Run the name server, and stop the CA at the end."""
        command = [f"{self.program}-challtestsrv", "-http01=", "-https01=", "-tlsalpn01=", "-defaultIPv6="]
        command += [f"-dns01={self.address}:{DNS}", f"-management={self.address}:{NAMES}", "-defaultIPv4=127.0.0.1"]
        with self._start(command, dict(os.environ)):
            try:
                assert eventually(lambda: self.point("127.0.0.1"), within=20)
                yield
            finally:
                self.stop()
