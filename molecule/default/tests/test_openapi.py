"""The running API answers as its OpenAPI document says, whatever it is asked."""

from __future__ import annotations

import httpx
import pytest
from schemathesis.config import SchemathesisConfig

from tests.support.live.fleet import LiveFleet
from tests.support.live.openapi import conform, from_url

# Enough for every kind of parameter; the unit and integration tests ask more.
EXAMPLES = 15


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_no_answer_is_an_error_of_the_server_or_undocumented(
    fleet: LiveFleet, author: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", fleet.vip)
    url = f"https://{fleet.vip}/api/v1/openapi.json"
    schema = from_url(url, config=SchemathesisConfig.from_dict({"tls-verify": False}), verify=False)
    seen = conform(schema, headers={"Authorization": author.headers["Authorization"]}, examples=EXAMPLES)
    # Not turned away at the door: the answers are the application's.
    assert seen["GET /api/v1/articles", 200], seen
    assert seen["POST /api/v1/articles", 201], seen
    assert seen["POST /api/v1/articles", 422], seen
    assert sum(times for (_, status), times in seen.items() if status == 429) * 10 < seen.total(), seen
