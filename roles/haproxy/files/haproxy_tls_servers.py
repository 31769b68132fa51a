"""Print the Redis servers that serve TLS, each as ADDRESS:PORT. Arguments: NAME=ADDRESS:PORT, with the name to verify.

A server that HAProxy reaches by TLS already is not asked: it may be down now, and must not be reached without TLS.
"""

import socket
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

CONFIGURATION = Path("/etc/haproxy/fleet/20-fleet.cfg")
FOLDER = Path("/etc/fleet-tls")
TIMEOUT = 3.0


def answers(name: str, address: str, port: int) -> bool:
    """Whether a server has a certificate for its name, and lets this host in with its own."""
    try:
        context = ssl.create_default_context(cafile=str(FOLDER / "ca.pem"))
        context.load_cert_chain(FOLDER / "cert.pem", FOLDER / "key.pem")
        with (
            socket.create_connection((address, port), TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=name) as encrypted,
        ):
            # With TLS 1.3, a server refuses the client's certificate only after the handshake.
            encrypted.sendall(b"PING\r\n")
            return encrypted.recv(1) != b""
    except OSError as error:
        print(f"{name} does not serve TLS at {address}:{port}: {error}", file=sys.stderr)
        return False


def serving(words: list[str], configuration: str) -> list[str]:
    """Return the servers that serve TLS, or did so before."""
    servers = [word.split("=") for word in words]
    with ThreadPoolExecutor() as pool:
        found = pool.map(
            lambda server: (
                f" {server[1]} check ssl " in configuration
                or answers(server[0], server[1].rpartition(":")[0], int(server[1].rpartition(":")[2]))
            ),
            servers,
        )
        return [address for (_, address), serves in zip(servers, found, strict=True) if serves]


def main() -> None:
    """Print what was found."""
    text = ""
    with suppress(FileNotFoundError):
        text = CONFIGURATION.read_text()
    print("\n".join(serving(sys.argv[1:], text)))


if __name__ == "__main__":
    main()
