"""SMTP sessions with a real server on the loopback address."""

import smtplib
import ssl
from datetime import timedelta
from email.message import EmailMessage
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from app.database.models import now
from app.mail.relay import DeferredError, MailUrl, RefusedError, RelayError
from tests.support.sockets import free_port
from tools.fleet.mail_sink import MailSink

SENT_FROM, RECIPIENT = "no-reply@localhost", "ada@news.example"


@pytest.fixture
def message() -> EmailMessage:
    email = EmailMessage()
    email["From"], email["To"], email["Subject"] = SENT_FROM, RECIPIENT, "Hello"
    return email


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for the loopback address, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay")])
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    )
    builder = builder.not_valid_before(now() - timedelta(days=1)).not_valid_after(now() + timedelta(days=1))
    signed = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "relay.crt").write_bytes(signed.public_bytes(Encoding.PEM))
    (folder / "relay.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "relay.crt", folder / "relay.key"


class Refusing(MailSink):
    """Answers every recipient with a code."""

    code = 550

    async def handle_RCPT(self, *_: Any) -> str:
        return f"{self.code} ada@news.example is not here"


@pytest.mark.parametrize(("code", "error"), [(550, RefusedError), (450, DeferredError)])
def test_a_refused_recipient_is_refused_or_deferred_by_code(
    code: int, error: type[Exception], message: EmailMessage
) -> None:
    relay = Refusing("127.0.0.1", free_port())
    relay.code = code
    with relay, pytest.raises(error) as caught:
        MailUrl.parse(f"smtp://127.0.0.1:{relay.port}").send(message)
    assert str(caught.value) == f"the relay answers {code}", "the message must not contain the address"
    assert caught.value.__suppress_context__


def test_an_unreachable_relay_is_reported() -> None:
    with pytest.raises(RelayError, match=r"^the relay 127\.0\.0\.1:\d+ cannot be reached \(ConnectionRefusedError\)$"):
        MailUrl.parse(f"smtp://user:hunter2@127.0.0.1:{free_port()}").send(EmailMessage())


# aiosmtpd does not notice that smtps is encrypted.
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_credentials_are_sent_only_over_verified_tls(
    scheme: str, certificate: tuple[Path, Path], message: EmailMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        given.append((data.login, data.password))
        return AuthResult(success=data.password == b"hunter/2", handled=False)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    encryption: dict[str, Any] = (
        {"ssl_context": context} if scheme == "smtps" else {"tls_context": context, "require_starttls": True}
    )
    encryption["auth_require_tls"] = scheme == "smtp"
    sink = MailSink("127.0.0.1", free_port())
    relay = Controller(
        sink, hostname="127.0.0.1", port=sink.port, authenticator=authenticate, auth_required=True, **encryption
    )
    server = f"127.0.0.1:{sink.port}{'?starttls=1' if scheme == 'smtp' else ''}"
    relay.start()
    try:
        with pytest.raises(RelayError, match="SSLCertVerificationError"):
            MailUrl.parse(f"{scheme}://news:hunter%2F2@{server}").send(message)
        assert given == [], "the password must not be sent to an unverified server"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        with pytest.raises(RelayError, match="answers 535"):
            MailUrl.parse(f"{scheme}://news:wrong@{server}").send(message)
        MailUrl.parse(f"{scheme}://news:hunter%2F2@{server}").send(message)
    finally:
        relay.stop()
    assert sink.wait_for(RECIPIENT)["Subject"] == "Hello"
    assert given[-1] == (b"news", b"hunter/2")


@pytest.mark.parametrize("url", ["smtp://user:hunter2@127.0.0.1:{port}", "smtp://127.0.0.1:{port}?starttls=1"])
def test_a_relay_without_the_configured_features_gets_no_email(url: str) -> None:
    with MailSink("127.0.0.1", free_port()) as sink, pytest.raises(RelayError):
        MailUrl.parse(url.format(port=sink.port)).send(EmailMessage())
    assert sink.emails == []


def test_an_accepted_email_counts_as_sent_if_quit_fails(message: EmailMessage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtplib.SMTP, "quit", Mock(side_effect=TimeoutError))
    with MailSink("127.0.0.1", free_port()) as sink:
        MailUrl.parse(f"smtp://127.0.0.1:{sink.port}").send(message)
        sink.wait_for(RECIPIENT)
