"""Disaster-recovery scenarios as pytest tests, against AWS or an embedded stack of real parts.

The map, from top to bottom; a floor knows only those below it (`[tool.importlinter]` in pyproject.toml).

The surface, the only part that knows pytest:
    plugin        every hook, nothing but hooks
    fixtures      the catalogue: each enters a context manager that exists without pytest
    collection    what is looked at before any test runs: drills, services, markers, time-outs
    running       how a session runs an exercise: begun at first need, ended with the session
    terminal      what the user is told meanwhile, and at the end
    cli           `envdr sandbox`, `envdr undo`, `envdr report`

The exercise:
    exercise      one run: stack, hands, journal, evidence
    drills        what can be broken on purpose and brought back, one noun a file
    undo          journal entry -> the calls that bring the state before back
    remains       which of them are still to be made; service_remains: those of services and pipelines
                  provisioner_remains: those of a provisioner and of a drill's tenants
    evidence      events.jsonl, and what is computed from it: record.json, report.html

The hands:
    swaps         acts on databases, journalled, and their undoing
    builds        what Terraform builds for a drill, and its undoing
    verify        two sources in, a list of differences out: databases, buckets, queue, Terraform's state
    mariadb       connections to databases
    terraform     the stack's modules: plan, apply, its state
    dumps         a database as a file: dump, load
    leftovers     what is in a Region under a stack's names, or tagged by a drill
    jobs          an exercise's marked jobs: dispatch, ask after, retry, make again
    ledger        what the application tells of them
    founding      new tenants, founded through the application
    laravel       the application's own commands, maintenance mode
    shipments     what an execution of a pipeline has brought about; deliveries: what of it came to the service
    probe         the client outside: asks at a steady rate, keeps every answer
    aws           one file a service; reads are nouns, acts are verbs and take `journal`
    guard         which calls a run may make, and against what

The vocabulary:
    journal       intend, then do, then settle: the inverse lies on disk before the call
    timeline      phases, marks, the actuals
    stack         the stack file: what is under test
    tables        those of its tables that only some scenarios need
    scenarios     the nine scenarios as rows
    settings      every option, ini key and environment variable
    waiting       the one polling policy
    entries, remaining, durable, provenance, errors

Beside all that, in a process of its own: sandbox, an AWS account on this machine.
"""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """`__version__`, looked up when it is asked for."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 (an unused plugin imports nothing it does not need)

        return version("pytest-envdr")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
