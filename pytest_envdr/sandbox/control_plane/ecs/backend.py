"""moto's ECS backend, in which requests record what is wanted and reads tell what is: services.

`update_service` keeps moto's signature and takes the lock itself, because Application Auto Scaling calls it in-process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from moto.ecs.exceptions import ServiceNotFoundException
from moto.ecs.models import Cluster, TaskDefinition
from moto.ecs.models import Service as StoredService
from moto.elbv2.models import elbv2_backends

from pytest_envdr.sandbox.control_plane.ecs import validation
from pytest_envdr.sandbox.control_plane.ecs.errors import (
    ClusterContainsServices,
    ClusterContainsTasks,
    ConflictException,
    InvalidParameterException,
    ServiceDeploymentNotFound,
    ServiceNotActive,
    UnsupportedFeature,
)
from pytest_envdr.sandbox.control_plane.ecs.failures import REQUEST
from pytest_envdr.sandbox.control_plane.ecs.service import OPTIONS, Service
from pytest_envdr.sandbox.control_plane.ecs.service_deployments import Revision, ServiceDeployment
from pytest_envdr.sandbox.control_plane.ecs.task import Status
from pytest_envdr.sandbox.control_plane.ecs.task_requests import TaskRequests
from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from collections.abc import Mapping

RENEWING = frozenset(
    {"taskDefinition", "networkConfiguration", "platformVersion", "loadBalancers", "serviceRegistries"}
)
"""Parameters of UpdateService whose change makes a new deployment (ECS API reference, UpdateService)."""

API_NAMES = {
    "desired_count": "desiredCount",
    "task_definition": "taskDefinition",
    "force_new_deployment": "forceNewDeployment",
}
"""How callers within the process name parameters, as moto does."""


class SandboxEcs(TaskRequests):
    """Services, whose tasks a scheduler keeps.

    Attributes:
        managed: each service, by `<cluster>:<service>` as in moto's `services`.
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.managed: dict[str, Service] = {}

    def find_service(self, cluster_str: str, reference: str) -> Service:
        """A service by name or ARN.

        Raises:
            ServiceNotFoundException: there is none.
        """
        cluster = self._get_cluster(cluster_str)
        service = self.managed.get(f"{cluster.name}:{reference.rsplit('/', maxsplit=1)[-1]}")
        if service is None:
            raise ServiceNotFoundException
        return service

    def services_in(self, cluster_str: str) -> dict[str, Service]:
        """A cluster's services by name."""
        cluster = self._get_cluster(cluster_str)
        return {one.name: one for one in self.managed.values() if one.cluster is cluster}

    def make_service(self, request: Mapping[str, Any]) -> Service:
        """CreateService, with the API's own parameter names."""
        cluster = self._get_cluster(request.get("cluster", "default"))
        self._refuse_duplicate(cluster, request["serviceName"])
        if "taskDefinition" not in request:
            raise InvalidParameterException("TaskDefinition can not be blank.")
        definition = self.usable_definition(request["taskDefinition"])
        validation.deployment_configuration(request, request.get("deploymentController", {}).get("type", "ECS"))
        stored, revision = self._stored(cluster, definition, request)
        service = Service(self.placed(), stored, cluster)
        service.configure({name: value for name, value in request.items() if name in OPTIONS})
        service.deploy(revision, definition)
        key = f"{cluster.name}:{stored.name}"
        self.services[key], self.managed[key] = stored, service
        return service

    def create_service(self, *args: Any, **kwargs: Any) -> StoredService:
        """CreateService as CloudFormation calls it within moto: cluster, name, desired count, definition."""
        names = ("cluster", "serviceName", "desiredCount", "taskDefinition")
        given = dict(zip(names, args, strict=False)) | {"taskDefinition": kwargs.get("task_definition_str")}
        with backend_lock:
            return self.make_service(given).stored

    def update_service(self, service_properties: dict[str, Any]) -> StoredService:
        """UpdateService; parameters named as in the API or as moto names them."""
        given = {API_NAMES.get(name, name): value for name, value in service_properties.items() if value is not None}
        with backend_lock:
            service = self.find_service(given.pop("cluster", "default"), given.pop("service"))
            if service.stored.status != "ACTIVE":
                raise ServiceNotActive
            self._update(service, given)
            return service.stored

    def drop_service(self, cluster_str: str, reference: str, *, force: bool) -> Service:
        """DeleteService: DRAINING until the last task stops."""
        service = self.find_service(cluster_str, reference)
        if service.stored.status == "INACTIVE":
            raise ServiceNotFoundException
        if service.desired > 0 and not force:
            raise InvalidParameterException("The service cannot be stopped while it is scaled above 0.")
        service.stored.status = "DRAINING"
        service.scale(0)
        if not any(deployment.tasks for deployment in service.deployments):
            service.end()
        return service

    def delete_service(self, cluster_name: str, service_name: str, force: bool) -> StoredService:  # noqa: FBT001 (moto's)
        """DeleteService as CloudFormation calls it within moto."""
        with backend_lock:
            return self.drop_service(cluster_name, service_name, force=force).stored

    def delete_cluster(self, cluster_str: str) -> Cluster:
        """DeleteCluster: refused while something runs in it."""
        cluster = self._get_cluster(cluster_str)
        if any(one.cluster is cluster and one.stored.status != "INACTIVE" for one in self.managed.values()):
            raise ClusterContainsServices
        if any(
            task.cluster_arn == cluster.arn and task.last_status is not Status.STOPPED
            for task in self.launched.values()
        ):
            raise ClusterContainsTasks
        return super().delete_cluster(cluster_str)

    def service_deployments(self) -> dict[str, tuple[Service, ServiceDeployment]]:
        """Every service deployment by ARN."""
        return {one.arn: (service, one) for service in self.managed.values() for one in service.history}

    def service_revisions(self) -> dict[str, Revision]:
        """Every service revision by ARN."""
        revisions = [one.target for service in self.managed.values() for one in service.history]
        return {revision.arn: revision for revision in revisions}

    def stop_deployment(self, arn: str, kind: str) -> None:
        """StopServiceDeployment: the loop rolls it back, or leaves it as it is (ABORT)."""
        if kind not in ("ROLLBACK", "ABORT"):
            raise InvalidParameterException("stopType should be one of [ABORT,ROLLBACK]")
        service, deployment = self.service_deployments().get(arn, (None, None))
        if service is None or deployment is None:
            raise ServiceDeploymentNotFound
        if service.stored.deployment_controller["type"] != "ECS":
            raise UnsupportedFeature
        if not deployment.open:
            raise ConflictException(f"Cannot stop a service deployment that is in status {deployment.status}.")
        deployment.request_end(REQUEST, rollback=kind == "ROLLBACK")

    def _update(self, service: Service, given: dict[str, Any]) -> None:
        force = given.pop("forceNewDeployment", False)
        desired = validation.count(int(given.pop("desiredCount", service.desired)))
        old = service.primary.revision
        definition = service.primary.definition
        if "taskDefinition" in given:
            definition = self.usable_definition(given["taskDefinition"])
        # Everything that can be refused comes before anything is changed.
        validation.deployment_configuration(given, service.stored.deployment_controller["type"])
        revision = self._revised(service, old, definition, given) if force or RENEWING & given.keys() else old
        service.configure({name: value for name, value in given.items() if name in OPTIONS})
        if desired != service.desired:
            service.scale(desired)
        if force or _differ(revision, old):
            service.deploy(revision, definition)

    def _revised(
        self, service: Service, old: Revision, definition: TaskDefinition, given: Mapping[str, Any]
    ) -> Revision:
        request = {
            "launchType": old.launch_type,
            "capacityProviderStrategy": list(old.capacity_provider_strategy),
            "networkConfiguration": old.network_configuration,
            "platformVersion": old.platform_version,
            "loadBalancers": list(old.load_balancers),
            "serviceRegistries": list(old.service_registries),
            **{name: given[name] for name in RENEWING & given.keys()},
        }
        return self._revision(service.stored.arn, service.cluster, validation.active(definition), request)

    def _stored(
        self, cluster: Cluster, definition: TaskDefinition, request: Mapping[str, Any]
    ) -> tuple[StoredService, Revision]:
        arn = cluster.arn.replace(":cluster/", ":service/") + f"/{request['serviceName']}"
        revision = self._revision(arn, cluster, definition, request)
        stored = StoredService(  # type: ignore[abstract]
            cluster=cluster,
            service_name=request["serviceName"],
            desired_count=validation.count(int(request.get("desiredCount") or 0)),
            backend=self,
            task_definition=definition,
            load_balancers=list(revision.load_balancers),
            scheduling_strategy=request.get("schedulingStrategy"),
            tags=request.get("tags"),
            deployment_controller=request.get("deploymentController"),
            launch_type=revision.launch_type,
            service_registries=list(revision.service_registries),
            platform_version=revision.platform_version,
            network_configuration=revision.network_configuration or None,
            role_arn=request.get("role"),
        )
        stored.running_count = stored.pending_count = 0
        return stored, revision

    def _revision(
        self, service_arn: str, cluster: Cluster, definition: TaskDefinition, request: Mapping[str, Any]
    ) -> Revision:
        launch, strategy = validation.launch_type(
            cluster, definition, request.get("launchType"), request.get("capacityProviderStrategy")
        )
        balancers = list(request.get("loadBalancers") or ())
        groups = elbv2_backends[self.account_id][self.region_name].target_groups
        validation.load_balancers(definition, balancers, groups)
        containers = cast("list[dict[str, Any]]", definition.container_definitions)
        images = ({"containerName": one["name"], "image": one["image"]} for one in containers)
        return Revision(
            service_arn=service_arn,
            cluster_arn=cluster.arn,
            task_definition=definition.arn,
            container_images=tuple(images),
            launch_type=launch,
            capacity_provider_strategy=tuple(strategy),
            platform_version=request.get("platformVersion") or "LATEST",
            load_balancers=tuple(balancers),
            service_registries=tuple(request.get("serviceRegistries") or ()),
            network_configuration=self.network(definition, request.get("networkConfiguration")),
        )

    def _refuse_duplicate(self, cluster: Cluster, name: str) -> None:
        existing = self.managed.get(f"{cluster.name}:{name}")
        if existing is None or existing.stored.status == "INACTIVE":
            return
        if existing.stored.status == "DRAINING":
            raise InvalidParameterException("Unable to Start a service that is still Draining.")
        raise InvalidParameterException("Creation of service was not idempotent.")


def _differ(one: Revision, other: Revision) -> bool:
    """Whether two revisions differ in what the user chose."""
    return any(
        getattr(one, name) != getattr(other, name)
        for name in (
            "task_definition",
            "network_configuration",
            "platform_version",
            "load_balancers",
            "service_registries",
        )
    )
