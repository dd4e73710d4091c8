"""A few examples of each state machine; `nox -s fuzz` runs many more."""

from __future__ import annotations

import pytest
from fuzz_machines import MACHINES
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

EXAMPLES = {"store": 20, "index": 8, "claims": 8, "manifest": 8, "reconcile": 100, "merge": 12}


@pytest.mark.parametrize("name", MACHINES)
def test_it_does_what_the_model_does(name):
    run_state_machine_as_test(
        MACHINES[name],
        settings=settings(
            max_examples=EXAMPLES[name],
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
