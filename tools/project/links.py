"""Finds the pages of links that grant access to anybody who has them: nginx must not log them."""

import re
from collections.abc import Mapping

from tools.project.tree import Finding

VARIABLE = re.compile(r"<(?:[^<>]*:)?(?P<name>\w+)>")
# Names of variables that are secrets on every page, and those that are on a page of such a name.
SECRET = re.compile(r"(.*_)?(token|secret|signature|jwt|otp|nonce)|.+_(key|code|hash)", re.IGNORECASE)
MAYBE = re.compile(r"(.*_)?(key|code|hash|sig|uid|uuid|data|payload|id|uidb64)", re.IGNORECASE)
PAGE = re.compile(r"reset|confirm|verif|activat|invit|unsubscri|password|magic|login|share", re.IGNORECASE)


def secret(pages: Mapping[str, str]) -> Finding | None:
    """Return the prefixes of pages whose path has a token, `*` for each variable before it."""
    found: dict[str, str] = {}
    for page, place in pages.items():
        for variable in VARIABLE.finditer(page):
            before = page[: variable.start()]
            name = variable["name"]
            if SECRET.fullmatch(name) or (MAYBE.fullmatch(name) and PAGE.search(before)):
                prefix = VARIABLE.sub("*", before)
                # A prefix without a word of its own would hide every URL.
                if re.search(r"\w", prefix):
                    found.setdefault(prefix, place)
                break
    return Finding("nginx_secret_paths", sorted(found), ", ".join(dict.fromkeys(found.values()))) if found else None
