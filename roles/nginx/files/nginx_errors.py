#!/usr/bin/python3 -I
"""Write nginx's error log to the journal, without the secrets of URLs and without control characters.

nginx repeats a request's URL and its Referer in each error, and has no filter of its own. It sends every line as a
syslog message to a socket that systemd passes on as descriptor 3. The arguments are the prefixes of secret URLs.
"""

import re
import socket
import sys
from collections.abc import Sequence

MESSAGE = re.compile(r"<(?P<priority>\d+)>.*? nginx: ")
ERROR = 3


def secret_urls(prefixes: Sequence[str]) -> re.Pattern[str]:
    """Return a pattern of URLs that begin with a prefix. A redirecting mail gateway encodes them as a parameter."""
    slash = "(?:/|%(?:25)*2f)+"
    encoded = {"/": slash, r"\?": r"(?:\?|%(?:25)*3f)", "=": "(?:=|%(?:25)*3d)"}
    patterns = [re.escape(prefix) for prefix in prefixes]
    for character, pattern in encoded.items():
        patterns = [text.replace(character, pattern) for text in patterns]
    # Only the first of several slashes begins a match. Otherwise a long row of them would take quadratic time.
    return re.compile(rf'(?<!/)(?<!2f)({"|".join(patterns)})[^\s"]+' if patterns else "()(?!)", re.IGNORECASE)


def journal_line(message: bytes, secrets: re.Pattern[str]) -> str:
    """Return a line for the journal, which reads the priority at its beginning."""
    text = message.decode("utf-8", "backslashreplace")
    priority = ERROR
    if header := MESSAGE.match(text):
        priority, text = int(header["priority"]) % 8, text[header.end() :]
    text = secrets.sub(r"\1[hidden]", text)
    printable = (char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return f"<{priority}>{''.join(printable)}"


def main() -> None:
    secrets = secret_urls(sys.argv[1:])
    messages = socket.socket(fileno=3)
    while True:
        print(journal_line(messages.recv(65536), secrets), flush=True)


if __name__ == "__main__":
    main()
