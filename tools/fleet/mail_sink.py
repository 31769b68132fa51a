"""`make mail`: receives the e-mails that a fleet sends and prints them. It forwards nothing."""

import sys
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.controller import Controller

from tools.fleet.context import Fleet, FleetError, echo

# As in the sandbox inventories' app_mail_url.
PORT = 1025


class MailSink:
    """An SMTP server that keeps the e-mails that it receives. Tests take them with `wait_for`."""

    def __init__(self, address: str, port: int = PORT) -> None:
        self.port = port
        self.emails: list[EmailMessage] = []
        self._arrival = threading.Condition()
        self._controller = Controller(self, hostname=address, port=port)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        """Store an e-mail. aiosmtpd requires this name."""
        message = message_from_bytes(envelope.content.replace(b"\r\n", b"\n"), policy=policy.default)
        assert isinstance(message, EmailMessage)
        with self._arrival:
            self.emails.append(message)
            self._arrival.notify_all()
        return "250 kept"

    def wait_for(self, recipient: str, *, subject: str = "", within: float = 10.0) -> EmailMessage:
        """Wait for an e-mail to `recipient` whose subject contains `subject`. Remove and return the oldest one."""

        def matching() -> EmailMessage | None:
            to_recipient = (email for email in self.emails if email["To"] == recipient)
            return next((email for email in to_recipient if subject in email.get("Subject", "")), None)

        with self._arrival:
            if not (email := self._arrival.wait_for(matching, within)):
                others = [f"{email['To']}: {email['Subject']}" for email in self.emails]
                raise TimeoutError(f"no e-mail {subject!r} to {recipient} within {within:.0f} s; received: {others}")
            self.emails.remove(email)
            return email

    def next(self) -> EmailMessage:
        """Wait for an e-mail, then remove and return the oldest."""
        with self._arrival:
            self._arrival.wait_for(lambda: self.emails)
            return self.emails.pop(0)


def gateway(fleet: Fleet) -> str:
    """Return this machine's address in the fleet's network, to which the hosts send e-mails."""
    outputs = fleet.outputs()
    fleet.hosts(outputs)
    network: str = outputs["inventory"]["all"]["vars"]["fleet_admin_networks"][0]
    return network.removesuffix("/32")


def main() -> int:
    """Print e-mails until the user presses Ctrl-C."""
    try:
        fleet = Fleet.from_environment()
        address = gateway(fleet)
        try:
            with MailSink(address, PORT) as sink:
                echo(f"waiting for e-mails of the fleet {fleet.name} on {address}:{PORT}; press Ctrl-C to stop")
                while True:
                    email = sink.next()
                    echo(f"\nTo: {email['To']}\nSubject: {email['Subject']}\n\n{email.get_content()}")
        except OSError as error:
            raise FleetError(
                f"cannot listen on {address}:{PORT} ({error.strerror}); stop the other 'make mail', if one is running."
            ) from error
    except FleetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
