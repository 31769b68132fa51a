"""Password verifiers for Postgres, so that no password is part of a statement."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from typing import Any

from ansible_collections.community.postgresql.plugins.module_utils import saslprep

ITERATIONS = 4096  # Postgres' default
PREFIX = "SCRAM-SHA-256$"


def scram_verifier(password: str, role: str) -> str:
    """Return the SCRAM-SHA-256 verifier that Postgres stores for a password.

    The salt is derived from the password and the role, so that the same password always has the same verifier, and a
    second run changes nothing.

    Args:
        password: The password, or a verifier, which is returned as it is.
        role: The name of the Postgres role.
    """
    if password.startswith(PREFIX):
        return password
    secret = (password if password.isascii() else str(saslprep.saslprep(password))).encode()
    return verifier(secret, hmac.digest(secret, f"salt of {role}".encode(), "sha256")[:16])


def verifier(secret: bytes, salt: bytes) -> str:
    """Return the verifier for a normalized password and a salt (RFC 5802, RFC 7677)."""
    salted = hashlib.pbkdf2_hmac("sha256", secret, salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [b64encode(part).decode() for part in (salt, stored, server)]
    return f"{PREFIX}{ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"scram_verifier": scram_verifier}
