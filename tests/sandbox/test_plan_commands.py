"""The key commands of the DR test plan's section 9, as they stand there, against the running sandbox."""

from __future__ import annotations

import json
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from pytest_envdr.waiting import wait_until

SECONDS = 90.0
PLAN = Path(__file__).parent / "dr-test-plan-section-9.md"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "sandbox",
    "AWS_SECRET_ACCESS_KEY": "sandbox",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_PAGER": "",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
}


def commands() -> dict[str, list[str]]:
    """The plan's commands by their comment; a comment with two commands has them numbered."""
    block = PLAN.read_text().split("```bash\n")[1].split("```")[0].replace("\\\n", "")
    found: dict[str, list[str]] = {}
    for line in block.splitlines():
        if line.startswith("# "):
            found[line[2:]] = []
        elif line.strip():
            found[list(found)[-1]].append(line)
    return found


def run(command: str, stack: Path) -> str:
    """A command of the plan with the endpoint added, and the network configuration that it leaves open; its output."""
    endpoint = tomllib.loads(stack.read_text())["endpoint"]
    words = shlex.split(command)
    words = [words[0], "--endpoint-url", endpoint, *words[1:]]
    if "..." in words:
        words[words.index("...")] = network(endpoint)
    answer = subprocess.run(words, env=CREDENTIALS, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def network(endpoint: str) -> str:
    """The api service's own network configuration."""
    query = (
        f"aws --endpoint-url {endpoint} ecs describe-services --cluster envelope-prod-cluster "
        "--services envelope-prod-api --query services[0].networkConfiguration --output json"
    )
    answer = subprocess.run(shlex.split(query), env=CREDENTIALS, capture_output=True, text=True, check=True)
    return answer.stdout


def test_ecs_service_status(sandbox_stack: Path) -> None:
    """`Check ECS service status` shows the four services that it asks for, all running what they should."""
    (command,) = commands()["Check ECS service status"]
    rows = json.loads(run(command, sandbox_stack))["services"]
    assert [row["serviceName"] for row in rows] == [
        f"envelope-prod-{word}" for word in ("api", "worker", "tenant", "hq")
    ]
    assert all(row["runningCount"] == row["desiredCount"] > 0 for row in rows)


def test_failed_jobs_queue(sandbox_stack: Path) -> None:
    """`View failed jobs queue` runs Laravel's own command as a task, whose output is in the service's log group."""
    (command,) = commands()["View failed jobs queue"]
    (task,) = json.loads(run(command, sandbox_stack))["tasks"]
    arn = task["taskArn"]
    run(f"aws ecs wait tasks-stopped --cluster envelope-prod-cluster --tasks {arn}", sandbox_stack)
    described = run(f"aws ecs describe-tasks --cluster envelope-prod-cluster --tasks {arn}", sandbox_stack)
    assert json.loads(described)["tasks"][0]["containers"][0]["exitCode"] == 0
    stream = f"ecs/api/{arn.rsplit('/', 1)[1]}"
    logged = run(f"aws logs tail /ecs/envelope-prod-api --log-stream-names {stream} --format short", sandbox_stack)
    assert "No failed jobs!" in logged


@pytest.mark.sweep
def test_restarted_workers(sandbox_stack: Path) -> None:
    """`queue:restart`, run as the plan runs `queue:failed`: each worker ends by itself once it is idle, and ECS starts
    another in its place."""
    (command,) = commands()["View failed jobs queue"]
    before = worker_tasks(sandbox_stack)
    (task,) = json.loads(run(command.replace("queue:failed", "queue:restart"), sandbox_stack))["tasks"]
    run(f"aws ecs wait tasks-stopped --cluster envelope-prod-cluster --tasks {task['taskArn']}", sandbox_stack)
    stream = f"ecs/api/{task['taskArn'].rsplit('/', 1)[1]}"
    logged = run(f"aws logs tail /ecs/envelope-prod-api --log-stream-names {stream} --format short", sandbox_stack)
    assert "Broadcasting queue restart signal" in logged
    wait_until(
        lambda: worker_tasks(sandbox_stack),
        lambda now: len(now) == len(before) and not now & before,
        what="other workers",
        deadline=SECONDS,
    )
    described = run(
        f"aws ecs describe-tasks --cluster envelope-prod-cluster --tasks {' '.join(sorted(before))}", sandbox_stack
    )
    assert {one["containers"][0]["exitCode"] for one in json.loads(described)["tasks"]} == {0}


def worker_tasks(stack: Path) -> set[str]:
    """The workers that run."""
    listing = "aws ecs list-tasks --cluster envelope-prod-cluster --service-name envelope-prod-worker"
    return set(json.loads(run(listing, stack))["taskArns"])


def test_rds_status(sandbox_stack: Path) -> None:
    """`Check RDS status` shows the instance, available, with the endpoint where it answers."""
    (command,) = commands()["Check RDS status"]
    (row,) = json.loads(run(command, sandbox_stack))["DBInstances"]
    assert row["DBInstanceStatus"] == "available"
    assert row["Endpoint"]["Port"] == 3306


def test_recent_logs(sandbox_stack: Path) -> None:
    """`View recent CloudWatch logs` shows what the api's containers printed."""
    tail = commands()["View recent CloudWatch logs"][0]
    assert "ecs/api/" in run(tail, sandbox_stack)


@pytest.mark.parametrize("comment", ["Check ECS service status", "Check RDS status"])
def test_a_wrong_name_is_refused(sandbox_stack: Path, comment: str) -> None:
    """The same commands with a name that does not exist do not pass."""
    (command,) = commands()[comment]
    wrong = command.replace("envelope-prod-", "elsewhere-")
    endpoint = tomllib.loads(sandbox_stack.read_text())["endpoint"]
    words = shlex.split(wrong)
    answer = subprocess.run(
        [words[0], "--endpoint-url", endpoint, *words[1:]], env=CREDENTIALS, capture_output=True, text=True, check=False
    )
    assert answer.returncode != 0 or json.loads(answer.stdout)["failures"]
