"""The SMTP relay. Its URL is `smtp://user:password@host:port`.

`smtps://` encrypts from the start, `smtp://…?starttls=1` after the greeting.
"""

import smtplib
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

# Seconds for one answer of the relay. An e-mail needs at most eleven answers, and Postgres ends a transaction that is
# idle for a minute.
TIMEOUT = 5.0
DEFAULT_PORTS = {"smtp": 25, "smtps": 465}


class MailUrlError(ValueError):
    """An unusable relay URL.

    The message completes a sentence that begins with the variable's name. It does not contain the password.
    """


class RelayError(Exception):
    """The relay is down or rejects our log-in. Every e-mail must wait."""


class DeferredError(Exception):
    """The relay does not accept this e-mail now."""


class RefusedError(Exception):
    """The relay will never accept this e-mail."""


@dataclass(frozen=True)
class MailUrl:
    """A parsed URL."""

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    starttls: bool = False

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse a URL; raise MailUrlError if it cannot be used."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise MailUrlError("has no valid HOST:PORT; write special characters of the password as %XX") from None
        if parts.scheme not in DEFAULT_PORTS:
            raise MailUrlError("must begin with smtp:// or smtps://")
        if not host or parts.path.strip("/") or parts.fragment:
            raise MailUrlError("must be smtp://HOST:PORT or smtp://USER:PASSWORD@HOST:PORT, without a path")
        if bool(parts.username) != bool(parts.password):
            raise MailUrlError("needs both a user and a password, or neither")
        query = parse_qs(parts.query, keep_blank_values=True)
        if query not in ({}, {"starttls": ["1"]}) or (query and parts.scheme == "smtps"):
            raise MailUrlError("has an unknown option; only smtp:// URLs may have one, which is ?starttls=1")
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(host, port or DEFAULT_PORTS[parts.scheme], username, password, parts.scheme == "smtps", bool(query))

    def send(self, message: EmailMessage) -> None:
        """Send an e-mail; raise RelayError, DeferredError or RefusedError if the relay does not accept it."""
        relay = self._connect()
        try:
            relay.send_message(message)
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError) as error:
            code = _code(error)
            # `from None`, here and below, because answers of relays contain addresses, which must not get into the log.
            raise (RefusedError if code >= 500 else DeferredError)(f"the relay answers {code}") from None
        except smtplib.SMTPNotSupportedError:
            raise RefusedError("the relay accepts only ASCII addresses") from None
        except OSError as error:
            raise self._error(error) from None
        finally:
            # The relay has accepted or refused the e-mail already, so an error of QUIT must not change the outcome.
            with suppress(OSError):
                relay.quit()

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context() if self.tls or self.starttls else None
        try:
            relay = (
                smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT, context=context)
                if self.tls
                else smtplib.SMTP(self.host, self.port, timeout=TIMEOUT)
            )
            try:
                if self.starttls:
                    relay.starttls(context=context)
                if self.username:
                    relay.login(self.username, self.password)
            except BaseException:
                relay.close()
                raise
        except OSError as error:
            raise self._error(error) from None
        return relay

    def _error(self, error: OSError) -> RelayError:
        reason = f"answers {_code(error)}" if _code(error) else f"cannot be reached ({type(error).__name__})"
        return RelayError(f"the relay {self.host}:{self.port} {reason}")


def _code(error: OSError) -> int:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return next(code for code, _ in error.recipients.values())
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0
