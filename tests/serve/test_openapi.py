"""The server does what its OpenAPI description says: a few examples of Schemathesis;
`bench.serving_faults` has hundreds.
"""

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

EXAMPLES = 8


def test_no_example_of_the_description_is_answered_otherwise(client):
    schemathesis = pytest.importorskip("schemathesis")
    schema = schemathesis.openapi.from_asgi("/openapi.json", client.app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == 11
    for operation in operations:
        statuses = asked(operation)
        assert statuses
        assert max(statuses) < 500


def asked(operation):
    """The statuses of examples of one operation, each checked against the description."""
    from schemathesis.specs.openapi.checks import (
        positive_data_acceptance,
    )  # columns of one length are no JSON Schema

    tried = []

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def check(case):
        tried.append(case.call_and_validate(excluded_checks=[positive_data_acceptance]).status_code)

    check()
    return tried
