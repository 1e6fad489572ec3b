"""The variables that Lambda's runtime gives a function, over the function's own: those names are reserved."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_envdr.sandbox.control_plane.awslambda.function import Deployment
    from pytest_envdr.sandbox.world import World


def variables(world: World, deployment: Deployment, *, stream: str, code: Path, temporary: Path) -> dict[str, str]:
    """The whole environment of an execution, but for PATH.

    Args:
        world: which account, Region and API it calls.
        deployment: what runs.
        stream: its log stream.
        code: where its code is.
        temporary: a directory that is its own.
    """
    return dict(deployment.variables) | {
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_DEFAULT_REGION": world.region,
        "AWS_REGION": world.region,
        "AWS_ENDPOINT_URL": world.endpoint,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{deployment.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(deployment.mebibytes),
        "AWS_LAMBDA_FUNCTION_NAME": deployment.name,
        "AWS_LAMBDA_FUNCTION_VERSION": deployment.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": deployment.group,
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        "HOME": str(temporary),
        "LAMBDA_TASK_ROOT": str(code),
        "LANG": "C.UTF-8",
        "TMPDIR": str(temporary),
        "TZ": "UTC",
        "_HANDLER": deployment.handler,
    }
