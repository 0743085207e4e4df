"""State machines of Hypothesis, and bugs that they must find."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def run_states(
    machine: Callable[[], RuleBasedStateMachine],
    max_examples: int,
    phases: Sequence[Phase] = (Phase.generate,),
    *,
    steps: int,
    derandomize: bool = True,
) -> None:
    """Let Hypothesis look for an interleaving that breaks something."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=max_examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=derandomize,
            database=None,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            phases=phases,
        ),
    )
