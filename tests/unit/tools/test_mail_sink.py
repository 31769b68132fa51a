"""The SMTP server that receives the e-mails of a sandbox."""

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from unittest.mock import Mock

import pytest

from tests.support.sockets import free_port
from tools.fleet import mail_sink
from tools.fleet.context import Fleet, FleetError
from tools.fleet.mail_sink import MailSink

OUTPUTS = {
    "inventory": {
        "_meta": {"hostvars": {"db1": {"ansible_host": "10.77.0.41"}}},
        "all": {"vars": {"fleet_admin_networks": ["10.77.0.1/32"]}},
        "postgres": {"hosts": ["db1"]},
    }
}


@pytest.fixture
def sink() -> Iterator[MailSink]:
    with MailSink("127.0.0.1", free_port()) as sink:
        yield sink


def send(sink: MailSink, recipient: str, subject: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "news@news.test", recipient, subject
    message.set_content("https://10.77.0.5/auth/reset/" + "x" * 120 + "\n")
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as client:
        client.send_message(message)


def test_an_email_is_found_by_recipient_and_subject_and_taken_once(sink: MailSink) -> None:
    for recipient, subject in (("bo", "Welcome"), ("ada", "Welcome"), ("ada", "A new password")):
        send(sink, f"{recipient}@news.test", subject)
    assert sink.wait_for("ada@news.test", subject="password")["Subject"] == "A new password"
    email = sink.wait_for("ada@news.test")
    assert email["Subject"] == "Welcome"
    assert email.get_content() == "https://10.77.0.5/auth/reset/" + "x" * 120 + "\n", "a long link is not wrapped"
    assert sink.next()["To"] == "bo@news.test"


def test_the_error_for_a_missing_email_lists_the_received_ones(sink: MailSink) -> None:
    send(sink, "bo@news.test", "Welcome")
    with pytest.raises(
        TimeoutError, match=r"no e-mail 'reset' to ada@news\.test within 0 s; received: \['bo@news\.test: Welcome'\]"
    ):
        sink.wait_for("ada@news.test", subject="reset", within=0.1)


def test_the_server_listens_on_this_machines_address_in_the_fleets_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fleet, "outputs", lambda _: OUTPUTS)
    assert mail_sink.gateway(Fleet("a", "sandbox")) == "10.77.0.1"


def test_a_fleet_without_hosts_has_no_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fleet, "outputs", lambda _: {})
    with pytest.raises(FleetError, match="run 'make up FLEET=a' first"):
        mail_sink.gateway(Fleet("a", "sandbox"))


def test_an_address_in_use_is_an_error_with_advice(
    sink: MailSink, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # aiosmtpd reports the error only after this time, by default 5 s.
    monkeypatch.setenv("AIOSMTPD_CONTROLLER_TIMEOUT", "0.3")
    monkeypatch.setattr(mail_sink, "PORT", sink.port)
    monkeypatch.setattr(mail_sink, "gateway", lambda _: "127.0.0.1")
    assert mail_sink.main() == 1
    assert f"cannot listen on 127.0.0.1:{sink.port}" in capsys.readouterr().err


def test_emails_are_printed_until_the_user_presses_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    email = EmailMessage()
    email["To"], email["Subject"] = "ada@news.test", "Welcome"
    email.set_content("Hello\n")
    monkeypatch.setattr(mail_sink, "PORT", free_port())
    monkeypatch.setattr(mail_sink, "gateway", lambda _: "127.0.0.1")
    monkeypatch.setattr(MailSink, "next", Mock(side_effect=[email, KeyboardInterrupt]))
    assert mail_sink.main() == 0
    assert "\nTo: ada@news.test\nSubject: Welcome\n\nHello\n" in capsys.readouterr().out
