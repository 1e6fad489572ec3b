"""How a provisioner is kept from its work, and what then becomes of events (aws-semantics 8.1).

concurrency 0       to the function's dead-letter queue at once, without a retry; dropped where there is none
rule disabled       matched by nothing: only an archive has them, and no metric moves
permission removed  to the dead-letter queue of the rule's target at once
code broken         tried three times, at once, after one and after two more minutes; then to the function's
                    dead-letter queue. Mended meanwhile, the function runs late by itself
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_envdr.aws import awslambda, events
from pytest_envdr.drills.provisioner_events import UNDER_WAY_SECONDS
from pytest_envdr.drills.provisioner_events import Way as Letters
from pytest_envdr.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills.provisioner_fit import Settings
    from pytest_envdr.journal import Journal
    from pytest_envdr.tables import Provisioner

Disabling = Literal["concurrency 0", "rule disabled", "permission removed", "code broken"]
TRIED_SECONDS = 300.0
"""How long it may take where it is tried three times: 60 and 120 s between, and some."""
BROKEN = "envdr_drill.no_such_handler"


@dataclass(frozen=True)
class Way:
    """One way.

    Attributes:
        inflict: does it.
        in_effect: whether AWS shows it.
        letters: where events come that are not processed.
        told: whether anything in AWS can tell that events are not processed.
        tried: whether the function runs, and fails.
    """

    inflict: Callable[[Aws, Journal, Provisioner, Settings], None]
    in_effect: Callable[[Aws, Provisioner], bool]
    letters: Callable[[Provisioner, Settings], Letters]
    told: bool = True
    tried: bool = False


def _reserve_nothing(aws: Aws, journal: Journal, row: Provisioner, _: Settings) -> None:
    awslambda.put_concurrency(aws, journal, row.function, 0)


def _nothing_reserved(aws: Aws, row: Provisioner) -> bool:
    return awslambda.concurrency(aws, row.function) == 0


def _disable_rule(aws: Aws, journal: Journal, _: Provisioner, before: Settings) -> None:
    events.disable_rule(aws, journal, before.rule)


def _rule_disabled(aws: Aws, row: Provisioner) -> bool:
    return not events.rule(aws, row.rule, row.bus).enabled


def _remove_permission(aws: Aws, journal: Journal, row: Provisioner, before: Settings) -> None:
    wanted = [permission for permission in before.permissions if permission.sid == row.statement]
    if not wanted:  # `check_fit` refused it
        raise Refused(f"Nothing was touched: the policy of {row.function} has no statement {row.statement}.")
    awslambda.remove_permission(aws, journal, row.function, wanted[0])


def _permission_removed(aws: Aws, row: Provisioner) -> bool:
    return all(permission.sid != row.statement for permission in awslambda.permissions(aws, row.function))


def _break_code(aws: Aws, journal: Journal, _: Provisioner, before: Settings) -> None:
    awslambda.change_handler(aws, journal, before.function, BROKEN)


def _code_broken(aws: Aws, row: Provisioner) -> bool:
    """The function is what it was until its update has come to an end."""
    now = awslambda.function(aws, row.function)
    return now.handler == BROKEN and now.ready


def _of_function(seconds: float) -> Callable[[Provisioner, Settings], Letters]:
    """Into the function's dead-letter queue; without one, it may still be on its way when that is changed."""

    def letters(_: Provisioner, before: Settings) -> Letters:
        queues = (before.dead_letters,) if before.dead_letters else ()
        return Letters(queues, seconds)

    return letters


def _of_target(row: Provisioner, before: Settings) -> Letters:
    queue = before.undelivered(row)
    return Letters((queue,) if queue else ())


WAYS: dict[Disabling, Way] = {
    "concurrency 0": Way(_reserve_nothing, _nothing_reserved, _of_function(UNDER_WAY_SECONDS)),
    "rule disabled": Way(_disable_rule, _rule_disabled, lambda *_: Letters(), told=False),
    "permission removed": Way(_remove_permission, _permission_removed, _of_target),
    "code broken": Way(_break_code, _code_broken, _of_function(TRIED_SECONDS), tried=True),
}
