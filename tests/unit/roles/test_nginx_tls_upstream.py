"""nginx reaches the application by TLS, verifies it, and shows its own certificate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.roles.json_server import answering, certify
from tests.unit.roles.nginx_server import MakeSite

NAME = "DNS:app.flaskfleet.internal"


@pytest.mark.parametrize(
    ("names", "status"),
    [
        pytest.param([NAME], 200, id="the fleet's certificate"),
        pytest.param(["DNS:another.internal"], 502, id="a certificate for another name"),
        pytest.param([NAME, NAME], 502, id="another CA"),
    ],
)
def test_only_a_host_with_the_fleets_certificate_gets_requests(
    make_site: MakeSite, tmp_path: Path, names: list[str], status: int
) -> None:
    """The last of two certificates is that of nginx, and of the CAs that it trusts."""
    folder = tmp_path / "fleet-tls"
    folder.mkdir()
    context = certify(folder, names[0])
    if names[1:]:
        certify(folder, names[1])
    with (
        answering(lambda _: (200, {}), tls=context) as port,
        make_site(nginx_upstream_tls_port=port, nginx_upstream_port=1).running() as client,
    ):
        assert client.get("/").status_code == status


def test_a_request_that_may_be_sent_once_goes_to_another_host_if_a_host_ends_the_handshake(
    make_site: MakeSite, tmp_path: Path, refusing: Callable[[int], None]
) -> None:
    """HAProxy closes connections before the handshake while the application does not listen."""
    folder = tmp_path / "fleet-tls"
    folder.mkdir()
    context = certify(folder, NAME)
    hosts = [{"name": "app1", "address": "127.0.0.2"}, {"name": "app2", "address": "127.0.0.1"}]
    with answering(lambda _: (200, {}), tls=context) as port:
        refusing(port)
        site = make_site(nginx_upstream_hosts=hosts, nginx_upstream_tls_port=port, nginx_upstream_port=1)
        with site.running() as client:
            assert {client.post("/", content=b"x").status_code for _ in range(6)} == {200}
