"""Fixtures for the scenarios' tests. A scenario's conftest.py imports them."""

import time
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from tests.support.live.clients import visitor
from tests.support.live.fleet import LiveFleet, eventually
from tools.fleet.context import Fleet, Host


@pytest.fixture(scope="session")
def fleet() -> LiveFleet:
    """The running fleet."""
    return LiveFleet(Fleet.from_environment())


@pytest.fixture
def node(fleet: LiveFleet) -> Host:
    """The only host, which has every tier."""
    (host,) = fleet.hosts.values()
    return host


@pytest.fixture
def site(fleet: LiveFleet) -> Iterator[httpx.Client]:
    """An anonymous visitor at the front door."""
    with visitor(fleet) as client:
        yield client


@pytest.fixture(scope="session")
def api_key(fleet: LiveFleet) -> str:
    """A new API key with write access, created with the application's command line."""
    email = f"author-{uuid4().hex[:8]}@news.test"
    fleet.app_command(f"flask users create {email} --password-env AUTHOR_PASSWORD", {"AUTHOR_PASSWORD": uuid4().hex})
    output = fleet.app_command(f"flask keys create {email} --name tests --scope articles:write")
    return output.split()[-1]


@pytest.fixture
def author(fleet: LiveFleet, api_key: str) -> Iterator[httpx.Client]:
    """A client with an API key that has write access."""
    with visitor(fleet, Authorization=f"Bearer {api_key}") as client:
        yield client


@pytest.fixture
def healthy_fleet(fleet: LiveFleet) -> Iterator[None]:
    """For a test that disturbs the fleet: afterwards, wait until every host is healthy again."""
    yield

    def unhealthy() -> list[str]:
        return [host.name for host in fleet.hosts.values() if not fleet.is_healthy(host)]

    assert eventually(lambda: not unhealthy(), within=90), f"not healthy after the test: {unhealthy()}"
    # nginx ejects a failed application host for fail_timeout seconds.
    time.sleep(3)
