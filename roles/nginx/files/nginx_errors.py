#!/usr/bin/python3 -I
"""Write nginx's error log to the journal, without the secrets of URLs and without control characters.

nginx repeats a request's URL and its Referer in each error, and has no filter of its own. It sends every line as a
syslog message to a socket that systemd passes on as descriptor 3. The argument is a pattern of what is before the
secret in a URL (plugins/filter/secret_urls.py).
"""

import re
import socket
import sys

MESSAGE = re.compile(r"<(?P<priority>\d+)>.*? nginx: ")
ERROR = 3


def secret_urls(before: str) -> re.Pattern[str]:
    """Return a pattern of secret URLs, given the pattern of what is before their secret."""
    return re.compile(rf'({before})[^\s"]+', re.IGNORECASE)


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
    secrets = secret_urls(sys.argv[1])
    messages = socket.socket(fileno=3)
    while True:
        print(journal_line(messages.recv(65536), secrets), flush=True)


if __name__ == "__main__":
    main()
