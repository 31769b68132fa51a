"""The running API conforms to its OpenAPI document for valid and invalid requests."""

import httpx
import pytest

from tests.support.live.fleet import LiveFleet
from tests.support.live.openapi import conform, from_url

# Enough for every kind of parameter. The unit and integration tests use more.
EXAMPLES = 15


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_no_answer_is_a_server_error_or_undocumented(
    fleet: LiveFleet, author: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", fleet.vip)
    url = f"https://{fleet.vip}/api/v1/openapi.json"
    schema = from_url(url)
    statuses = conform(schema, headers={"Authorization": author.headers["Authorization"]}, examples=EXAMPLES)
    # The application answered, so nginx did not refuse the requests.
    assert statuses["GET /api/v1/articles", 200], statuses
    assert statuses["POST /api/v1/articles", 201], statuses
    assert statuses["POST /api/v1/articles", 422], statuses
    assert sum(times for (_, status), times in statuses.items() if status == 429) * 10 < statuses.total(), statuses
