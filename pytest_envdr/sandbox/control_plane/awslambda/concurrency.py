"""How often functions may run at once: an account's concurrency in a Region, and what of it they reserve. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.awslambda.errors import InvalidParameterValueException

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_envdr.sandbox.control_plane.awslambda.function import SandboxFunction

TOTAL, LEAST_UNRESERVED = 1000, 100
"""Of an account in a Region, and what of it no function may reserve."""
FUNCTION_LIMIT = "ReservedFunctionConcurrentInvocationLimitExceeded"
ACCOUNT_LIMIT = "ConcurrentInvocationLimitExceeded"


def unreserved(functions: Iterable[SandboxFunction]) -> int:
    """What is left for those that reserve nothing."""
    return TOTAL - sum(int(each.reserved_concurrency or 0) for each in functions)


def require_reservable(functions: Iterable[SandboxFunction], function: SandboxFunction, wanted: int) -> None:
    """Whether a function may reserve that much.

    Raises:
        InvalidParameterValueException: too little would be left for the others, in Lambda's words.
    """
    others = [each for each in functions if each.function_name != function.function_name]
    if unreserved(others) - wanted < LEAST_UNRESERVED:
        raise InvalidParameterValueException(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
            f"below its minimum value of [{LEAST_UNRESERVED}]."
        )


def limit_hit(functions: Sequence[SandboxFunction], function: SandboxFunction) -> str | None:
    """Which limit keeps a function from running once more; None where there is room. Callers hold the lock.

    `functions` are all of the account, each in its latest version: a reservation is for all versions together.
    """
    (latest,) = (each for each in functions if each.function_name == function.function_name)
    if latest.reserved_concurrency is not None:
        return FUNCTION_LIMIT if function.life.running >= int(latest.reserved_concurrency) else None
    running = sum(each.life.running for each in functions if each.reserved_concurrency is None)
    return ACCOUNT_LIMIT if running >= unreserved(functions) else None
