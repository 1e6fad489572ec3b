"""The application's versions in the registry: the one that runs, a newer one, and those that are broken on purpose.

Each is a copy of `app/` with a few places that read otherwise, and a VERSION of its own, which every answer names.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_envdr.errors import PartFailed
from pytest_envdr.sandbox.envelope.names import IMAGE, NEXT_VERSION, REGISTRY, REPOSITORY, TAGS

if TYPE_CHECKING:
    from pytest_envdr.sandbox.envelope.account import Account

APP = Path(__file__).with_name("app")
LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "images without a tag go after two weeks",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 14,
            },
            "action": {"type": "expire"},
        }
    ]
}
NOT_THERE = "not-there"
"""A tag that no image has: it cannot be pulled."""


@dataclass(frozen=True)
class Edit:
    """Where `path` says `before`, once, it says `after`; without `before` it is a file of its own."""

    path: str
    before: str
    after: str


@dataclass(frozen=True)
class Version:
    """A version of the application.

    Attributes:
        tag: in the registry, and what its VERSION says.
        shows: how it differs, as somebody outside sees it.
        edits: from `app/`.
    """

    tag: str
    shows: str
    edits: tuple[Edit, ...] = ()

    def changes(self) -> dict[str, str]:
        """The files that read otherwise than in `app/`, as they read.

        Raises:
            PartFailed: an edit does not fit the application any more.
        """
        changed = {"VERSION": f"{self.tag}\n"}
        for edit in self.edits:
            if not edit.before:
                changed[edit.path] = edit.after
                continue
            text = changed.get(edit.path) or (APP / edit.path).read_text()
            if text.count(edit.before) != 1:
                raise PartFailed(f"version {self.tag}: {edit.before!r} is not once in {edit.path}.")
            changed[edit.path] = text.replace(edit.before, edit.after)
        return changed


HEALTH, HANDSHAKE = "app/Http/Controllers/HealthController.php", "app/Reverb/Handshake.php"
SERVE, ARTISAN = "exec php -q", "$app = require __DIR__ . '/bootstrap/app.php';\n"
GROW = """<?php

// Takes 16 MiB more every quarter of a second, up to 2 GiB, and gives nothing back. Ends with what started it.
declare(strict_types=1);

ini_set('memory_limit', '-1');
$starter = posix_getppid();
$held = [];
while (posix_getppid() === $starter) {
    if (count($held) < 128) {
        $held[] = str_repeat("\\xff", 16 << 20);
    }
    usleep(250_000);
}
"""

BROKEN = (
    Version(
        "exits",
        "every command ends at once, with exit code 1",
        (
            Edit("bin/serve", SERVE, f"echo 'APP_KEY_V2 is not set' >&2\nexit 1\n{SERVE}"),
            Edit("artisan", ARTISAN, f'fwrite(STDERR, "APP_KEY_V2 is not set\\n");\nexit(1);\n{ARTISAN}'),
        ),
    ),
    Version(
        "unhealthy",
        "starts and answers, but never passes its health check: /up says 503 (reverb: 500), bin/alive fails",
        (
            Edit(HEALTH, "JsonResponse(['status' => 'up',", "JsonResponse(status: 503, data: ['status' => 'starting',"),
            Edit(HANDSHAKE, "$status = 200;", "$status = 500;"),
            Edit("bin/alive", "test $((", "exit 1\ntest $(("),
        ),
    ),
    Version(
        "answers-500",
        "passes its health check and answers every other page with 500; worker and scheduler, without pages, are well",
        (
            Edit(
                "app/Http/Middleware/AccessLog.php",
                "        return $next($request);",
                "        if ($request->path() !== 'up') {\n"
                "            throw new \\RuntimeException('Undefined array key \"plan_v2\"');\n"
                "        }\n\n"
                "        return $next($request);",
            ),
            Edit(
                HANDSHAKE,
                "            preg_match(",
                "            true => Response::json(500, ['message' => 'Server Error']),\n            preg_match(",
            ),
        ),
    ),
    Version(
        "grows",
        "works, and takes 64 MiB more every second until it is killed for that (exit code 137)",
        (
            Edit("bin/grow", "", GROW),
            Edit("bin/serve", SERVE, f"php bin/grow &\n{SERVE}"),
            Edit(
                "artisan",
                ARTISAN,
                f"if (pcntl_fork() === 0) {{\n    require __DIR__ . '/bin/grow';\n    exit;\n}}\n{ARTISAN}",
            ),
        ),
    ),
)
"""Each is broken in a way of its own; that `NOT_THERE` cannot be pulled is the fifth."""

VERSIONS = (Version(NEXT_VERSION, "works, and says that it is newer"), *BROKEN)
"""All but the one that runs, which is `app/` itself."""


def reference(tag: str) -> str:
    """What a container definition's `image` says for a version."""
    return f"{REGISTRY}/{REPOSITORY}:{tag}"


def create(account: Account) -> None:
    """The repository, and every version in it."""
    ecr = account.client("ecr")
    ecr.create_repository(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE", tags=TAGS)
    ecr.put_lifecycle_policy(repositoryName=REPOSITORY, lifecyclePolicyText=json.dumps(LIFECYCLE))
    publish(account)


def publish(account: Account) -> None:
    """Every version under its tag, in the repository that is there."""
    images = account.world.images
    images.publish(IMAGE, APP)
    for version in VERSIONS:
        images.build(APP, reference(version.tag), changes=version.changes())
