"""The pattern of URLs that grant access, for the logs of nginx and of gunicorn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# A mail gateway redirects links, and encodes them as a parameter, even several times.
SPELLINGS = {
    "/": "(?:/|%(?:25)*2f)+",
    "?": "(?:[?]|%(?:25)*3f)",
    "&": "(?:&|%(?:25)*26)",
    "=": "(?:=|%(?:25)*3d)",
    "*": "[^/?% ]+",
}
# Only the first of several slashes begins a match. Otherwise a long row of them would take quadratic time.
FIRST = "(?<!/)(?<!2f)"
# What itsdangerous and JWT sign: parts with dots between them, and a signature of at least 20 bytes. Not a host name.
SIGNED = "(?=(?:[a-z0-9_-]+[.])+[a-z0-9_-]{27})"
NOT_A_HOST = "(?<!:)(?<!3a)"


# Parameters of a query that are secrets in most applications.
PARAMETERS = (
    *("token", "access_token", "auth_token", "id_token", "refresh_token", "reset_token", "confirmation_token"),
    *("invitation_token", "jwt", "code", "otp", "key", "api_key", "apikey", "secret", "client_secret", "password"),
    *("passwd", "sig", "signature", "x-amz-signature", "x-amz-credential", "x-amz-security-token"),
)


def secret_urls(paths: Iterable[str]) -> str:
    """Return a pattern of the part of a URL that is before its secret. Case is to be ignored.

    The pattern is for PCRE and for Python. It has no backslashes, quotes and dollar signs, because nginx, systemd and
    Python quote them in different ways.

    Args:
        paths: Prefixes of secret links. `*` stands for one part of a path, `?NAME=` for a parameter of any URL.
    """
    found = [path for path in paths if path]
    given = [path[1:-1] for path in found if path.startswith("?") and path.endswith("=")]
    prefixes = [path for path in found if not path.startswith("?")]
    names = "|".join("".join(map(spelled, name)) for name in (*PARAMETERS, *given))
    return "|".join(
        [
            *((FIRST if path.startswith("/") else "") + "".join(map(spelled, path)) for path in prefixes),
            f"(?:{SPELLINGS['?']}|{SPELLINGS['&']})(?:{names}){SPELLINGS['=']}",
            f"(?:{FIRST}{NOT_A_HOST}{SPELLINGS['/']}|{SPELLINGS['=']}){SIGNED}",
        ]
    )


def spelled(character: str) -> str:
    """Return a pattern of one character."""
    if character in SPELLINGS:
        return SPELLINGS[character]
    if character.isalnum() or character in "_-~,;:!@":
        return character
    return "." if character in "\\^[]\"'$" else f"[{character}]"


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"secret_urls": secret_urls}
