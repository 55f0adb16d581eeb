"""Requests made up from the OpenAPI description: none may be a fault of the server."""

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
MODES = list(schemathesis.GenerationMode)


@pytest.mark.parametrize("mode", MODES, ids=[mode.value for mode in MODES])
def test_answers_are_as_described(generator, mode):
    schema = schemathesis.openapi.from_url(f"{generator.url}/openapi.json")
    called = set()

    def call(case):
        called.add((case.method, case.path))
        case.call_and_validate(checks=CHECKS)

    for operation in schema.get_all_operations():
        try:
            strategy = operation.ok().as_strategy(generation_mode=mode)
            run = hypothesis.given(case=strategy)(call)
            hypothesis.settings(
                max_examples=15,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(hypothesis.HealthCheck),
            )(run)()
        except hypothesis.errors.Unsatisfiable:
            # Nothing can be wrong with it: it has no parameters.
            assert mode == schemathesis.GenerationMode.NEGATIVE
    assert ("POST", "/v1/models/generator/versions/{version}:predict") in called
