"""What an action has while it runs, in a thread that may wait."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from pytest_envdr.sandbox.control_plane.codepipeline.errors import Abandoned, ActionFailed
from pytest_envdr.sandbox.control_plane.codepipeline.execution import IN_PROGRESS, Location
from pytest_envdr.sandbox.control_plane.extension import backend_lock
from pytest_envdr.waiting import pause

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.calling import Caller
    from pytest_envdr.sandbox.control_plane.codepipeline.declaration import Action
    from pytest_envdr.sandbox.control_plane.codepipeline.execution import Execution, Run
    from pytest_envdr.sandbox.world import World

LOOK_SECONDS = 2.0
"""AWS's seconds between two looks at what an action waits for, but never fewer wall seconds than the least."""
LEAST_SECONDS = 0.1


class Job:
    """One run of an action.

    Attributes:
        world, execution, run: what it is for.
    """

    def __init__(self, world: World, caller: Caller, execution: Execution, run: Run) -> None:
        self.world, self.execution, self.run = world, execution, run
        self._caller = caller
        self.closing = False

    @property
    def action(self) -> Action:
        return self.run.action

    def client(self, service: str) -> Any:
        """A client of another service."""
        return self._caller.client(service)

    def pause(self) -> None:
        """Wait a little.

        Raises:
            Abandoned: nobody waits for the action any more.
        """
        if self.closing or self.run.status != IN_PROGRESS:
            raise Abandoned(self.run.identifier)
        pause(max(LEAST_SECONDS, self.world.scaled(LOOK_SECONDS)))

    def note(self, external: str, url: str) -> None:
        """Say what it is called where it really happens."""
        with backend_lock:
            self.run.external, self.run.external_url = external, url

    def place(self, artifact: str) -> Location:
        """Where an artifact of this run goes: CodePipeline's own pattern."""
        declaration = self.execution.declaration
        return Location(declaration.bucket, f"{declaration.name[:20]}/{artifact[:10]}/{uuid4().hex[:7]}")

    def keep(self, artifact: str, body: bytes) -> Location:
        """Put an artifact into the store.

        Raises:
            ActionFailed: S3 does not take it.
        """
        where = self.place(artifact)
        try:
            self.client("s3").put_object(Bucket=where.bucket, Key=where.key, Body=body)
        except (ClientError, BotoCoreError) as error:
            raise ActionFailed("PermissionError", f"The artifact cannot be put into {where.bucket}: {error}") from error
        return where

    def file(self, artifact: Location, name: str) -> str:
        """A file of an artifact.

        Raises:
            ActionFailed: the artifact or the file is not there.
        """
        try:
            body = self.client("s3").get_object(Bucket=artifact.bucket, Key=artifact.key)["Body"].read()
            with zipfile.ZipFile(io.BytesIO(body)) as archive:
                return archive.read(name).decode()
        except (ClientError, BotoCoreError, zipfile.BadZipFile) as error:
            raise ActionFailed("ConfigurationError", f"The artifact {artifact.key} cannot be read: {error}") from error
        except KeyError as error:
            raise ActionFailed("ConfigurationError", f"Did not find the file {name} in the input artifact") from error
