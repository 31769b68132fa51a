"""Checks every operation of the OpenAPI document with valid and invalid requests.

For a running fleet: `conform(from_url(f"{base_url}/api/v1/openapi.json"), headers=…)`. This includes operations that
change data. They need a key in `headers`. Without one they must refuse.
"""

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode, openapi
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi import checks

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
# Statuses that refuse an invalid request. schemathesis does not count 412 and 413 by default, but a request with an
# invalid body may also be too large, or have an If-Match that does not match.
REFUSALS = ["400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "422", "428", "429", "5xx"]
CONFIG = {"checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}}}
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def from_url(url: str) -> BaseSchema:
    """Load the OpenAPI document of a running fleet, whose certificate is self-signed."""
    return openapi.from_url(url, config=SchemathesisConfig.from_dict(CONFIG | {"tls-verify": False}), verify=False)


def from_wsgi(path: str, app: Any) -> BaseSchema:
    """Load the OpenAPI document of an application in this process."""
    return openapi.from_wsgi(path, app, config=SchemathesisConfig.from_dict(CONFIG))


def conform(
    schema: BaseSchema, *, headers: dict[str, str] | None = None, examples: int = 20
) -> Counter[tuple[str, int]]:
    """Send up to `examples` requests of each kind to each operation. Return the number of each status by operation.

    The requests are the same in every run. Raise the first error that schemathesis finds: a server error, or an
    undocumented answer.
    """
    seen: Counter[tuple[str, int]] = Counter()
    chosen = settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    def check(case: Case[Any]) -> None:
        answer = case.call(headers=headers)
        seen[case.operation.label, answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS, headers=headers)

    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        for mode in MODES:
            chosen(given(case=found.ok().as_strategy(generation_mode=mode))(check))()
    return seen
