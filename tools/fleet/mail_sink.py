"""`make mail`: takes the letters that a fleet sends, on this machine's end of its network, and prints them. Nothing is passed on."""

from __future__ import annotations

import sys
import threading
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.controller import Controller

from tools.fleet.context import Fleet, FleetError, say

# As in the sandbox inventories' app_mail_url.
PORT = 1025


class MailSink:
    """An SMTP server that keeps what it gets, for tests too: letters that came are taken with `wait_for`."""

    def __init__(self, address: str, port: int = PORT) -> None:
        self.port = port
        self.letters: list[EmailMessage] = []
        self._arrival = threading.Condition()
        self._controller = Controller(self, hostname=address, port=port)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep a letter; aiosmtpd calls this by its name."""
        message = message_from_bytes(envelope.content.replace(b"\r\n", b"\n"), policy=policy.default)
        assert isinstance(message, EmailMessage)
        with self._arrival:
            self.letters.append(message)
            self._arrival.notify_all()
        return "250 kept"

    def wait_for(self, recipient: str, *, subject: str = "", within: float = 10.0) -> EmailMessage:
        """Take the oldest letter to `recipient` with `subject` in its subject.

        Raises:
            TimeoutError: none came within so many seconds.
        """
        deadline = time.monotonic() + within
        with self._arrival:
            while True:
                for number, letter in enumerate(self.letters):
                    if letter["To"] == recipient and subject in letter.get("Subject", ""):
                        return self.letters.pop(number)
                if not self._arrival.wait(deadline - time.monotonic()):
                    others = [f"{letter['To']}: {letter['Subject']}" for letter in self.letters]
                    raise TimeoutError(
                        f"no letter {subject!r} to {recipient} within {within:.0f} s; there are {others}"
                    )

    def next(self) -> EmailMessage:
        """Take the oldest letter, as soon as there is one."""
        with self._arrival:
            self._arrival.wait_for(lambda: self.letters)
            return self.letters.pop(0)


def gateway(fleet: Fleet) -> str:
    """This machine's address in a fleet's network, where its hosts send their letters.

    Raises:
        FleetError: the fleet has no hosts.
    """
    outputs = fleet.outputs()
    fleet.hosts(outputs)
    network: str = outputs["inventory"]["all"]["vars"]["fleet_admin_networks"][0]
    return network.removesuffix("/32")


def main() -> int:
    """Print letters until the user has seen enough."""
    try:
        fleet = Fleet.from_environment()
        address = gateway(fleet)
        try:
            with MailSink(address, PORT) as sink:
                say(f"letters of the fleet {fleet.name} ({address}:{PORT}) appear here; Ctrl-C ends")
                while True:
                    letter = sink.next()
                    say(f"\nTo: {letter['To']}\nSubject: {letter['Subject']}\n\n{letter.get_content()}")
        except OSError as error:
            raise FleetError(
                f"{address}:{PORT} cannot be listened on ({error.strerror}); is 'make mail' running elsewhere?"
            ) from error
    except FleetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
