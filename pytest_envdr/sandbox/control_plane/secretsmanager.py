"""Secrets Manager: moto's secrets, whose replicas in other Regions can also be promoted.

A replica is read-only and shows what its primary holds; promoted (StopReplicationToReplica) it is a secret of its own
under the same name and ARN, of which the primary knows nothing any more.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, cast

from moto.secretsmanager.exceptions import InvalidRequestException, SecretNotFoundException
from moto.secretsmanager.models import FakeSecret, ReplicaSecret, SecretsManagerBackend
from moto.secretsmanager.responses import SecretsManagerResponse
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.extension import backend_lock, extend, moto_urls, on_each_path
from pytest_envdr.sandbox.fidelity import SIMULATED, Fidelity

if TYPE_CHECKING:
    from types import ModuleType

    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World

FIDELITY: dict[str, Fidelity] = {
    "ReplicateSecretToRegions": SIMULATED,
    "StopReplicationToReplica": SIMULATED,
}


class SandboxSecretsManager(SecretsManagerBackend):
    """One account's secrets in one Region."""

    @property
    @override
    def _url_module(self) -> ModuleType:
        return moto_urls("secretsmanager")

    @override
    def replicate_secret_to_regions(
        self, secret_id: str, replica_regions: list[dict[str, str]], force_overwrite: bool
    ) -> tuple[str, list[dict[str, Any]]]:
        """ReplicateSecretToRegions, with the key that each replica is encrypted with."""
        with backend_lock:
            super().replicate_secret_to_regions(secret_id, replica_regions, force_overwrite)
            secret = cast("FakeSecret", self.describe_secret(secret_id))
            keys = {row["Region"]: row["KmsKeyId"] for row in replica_regions if "KmsKeyId" in row}
            for replica in secret.replicas:
                if replica.region in keys:
                    replica.config["KmsKeyId"] = keys[replica.region]
            return secret.arn, [replica.config for replica in secret.replicas]

    @override
    def get_resource_policy(self, secret_id: str) -> str:
        """GetResourcePolicy, of a replica as well: it has its primary's, and only writing is the primary's alone."""
        with backend_lock:
            replica = self.secrets.get(secret_id)
            if not isinstance(replica, ReplicaSecret):
                return super().get_resource_policy(secret_id)
            policy = {} if replica.source.policy is None else {"ResourcePolicy": replica.source.policy}
            return json.dumps({"ARN": replica.arn, "Name": replica.name} | policy)

    def stop_replication_to_replica(self, secret_id: str) -> str:
        """StopReplicationToReplica, asked of the replica's Region; the ARN, which stays.

        Raises:
            SecretNotFoundException: there is no such secret.
            InvalidRequestException: it is no replica.
        """
        with backend_lock:
            replica = self.secrets.get(secret_id)
            if replica is None:
                raise SecretNotFoundException
            if not isinstance(replica, ReplicaSecret):
                raise InvalidRequestException("You can't stop replication to a secret that is not a replica.")
            promoted = copy.copy(replica.source)
            promoted.arn, promoted.region, promoted.replicas = replica.arn, replica.region, []
            promoted.versions = copy.deepcopy(replica.source.versions)
            replica.source.replicas.remove(replica)
            dict.pop(self.secrets, replica.arn)
            self.secrets[promoted.name] = promoted
            return promoted.arn


class SandboxSecretsManagerResponse(SecretsManagerResponse):
    """moto's answers, and that of the operation which it lacks."""

    def stop_replication_to_replica(self) -> str:
        """StopReplicationToReplica."""
        backend = cast("SandboxSecretsManager", self.backend)
        return json.dumps({"ARN": backend.stop_replication_to_replica(self._get_param("SecretId"))})


class SecretsController:
    """Nothing moves by itself here."""

    def step(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to stop."""


def install(world: World) -> Controller:  # noqa: ARG001 (every service installs alike)
    """Put our backend and answers in moto's place, before the first request."""
    extend("secretsmanager", SandboxSecretsManager)
    on_each_path("secretsmanager", SandboxSecretsManagerResponse)
    return SecretsController()
