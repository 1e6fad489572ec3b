"""The API's face: parameters in, descriptions out. Each request is answered under the lock, so it sees one moment."""

from __future__ import annotations

import copy
from datetime import UTC
from typing import TYPE_CHECKING, Any, cast

from moto.core.responses import ActionResult
from moto.ecs.models import ecs_backends
from moto.ecs.responses import EC2ContainerServiceResponse

from pytest_envdr.sandbox.control_plane.ecs.paging import page
from pytest_envdr.sandbox.control_plane.ecs.validation import between
from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_envdr.sandbox.control_plane.ecs.backend import SandboxEcs
    from pytest_envdr.sandbox.control_plane.ecs.service import Service
    from pytest_envdr.sandbox.control_plane.ecs.service_deployments import ServiceDeployment


class EcsResponses(EC2ContainerServiceResponse):
    """moto's responses, with those that our state answers."""

    # moto's own answers switch tags off in this table, for the whole class: these have their own table
    # (as mutable as moto declares it).
    RESPONSE_KEY_PATH_TO_TRANSFORMER = dict(EC2ContainerServiceResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER)  # noqa: RUF012

    @property
    def sandbox(self) -> SandboxEcs:
        """The backend of the caller's account and Region."""
        return cast("SandboxEcs", ecs_backends[self.current_account][self.region])

    def call_action(self) -> Any:
        """Answer, alone."""
        with backend_lock:
            return super().call_action()

    # Services

    def create_service(self) -> ActionResult:
        return ActionResult({"service": self.sandbox.make_service(self._given()).describe(tags=True)})

    def update_service(self) -> ActionResult:
        stored = self.sandbox.update_service(self._given())
        return ActionResult({"service": self.sandbox.find_service(stored.cluster_name, stored.name).describe()})

    def delete_service(self) -> ActionResult:
        force = bool(self._get_param("force"))
        return ActionResult({"service": self.sandbox.drop_service(*self._named(), force=force).describe()})

    def describe_services(self) -> ActionResult:
        cluster, names = self._cluster(), between("Services", self._get_param("services", []), 10)
        known = self.sandbox.services_in(cluster)
        found = {name: known.get(name.split("/")[-1]) for name in names}
        shown = [one.describe(tags=self._with_tags()) for one in found.values() if one]
        lost = [self._arn("service", name) for name, one in found.items() if not one]
        return ActionResult({"services": shown, "failures": [_failure(arn) for arn in lost]})

    def list_services(self) -> ActionResult:
        """Only ACTIVE ones: draining services are no longer visible here."""
        chosen = {name: self._get_param(name) for name in ("schedulingStrategy", "launchType")}
        arns = self.sandbox.list_services(
            self._cluster(), chosen["schedulingStrategy"], launch_type=chosen["launchType"]
        )
        active = {one.arn for one in self.sandbox.services.values() if one.status == "ACTIVE"}
        return self._page([arn for arn in arns if arn in active], "serviceArns", default=10)

    # Service deployments

    def list_service_deployments(self) -> ActionResult:
        service = self.sandbox.find_service(*self._named())
        statuses, window = self._get_param("status", []), self._get_param("createdAt", {})
        rows = [
            one.brief() for one in service.history if (not statuses or one.status in statuses) and _within(one, window)
        ]
        return self._page(rows, "serviceDeployments", default=20)

    def describe_service_deployments(self) -> ActionResult:
        known = self.sandbox.service_deployments()
        arns = between("ServiceDeploymentArns", self._get_param("serviceDeploymentArns", []), 20)
        rows = [_full(*known[arn]) for arn in arns if arn in known]
        return ActionResult({"serviceDeployments": rows, "failures": _missing(arns, known)})

    def stop_service_deployment(self) -> ActionResult:
        arn = str(self._get_param("serviceDeploymentArn"))
        self.sandbox.stop_deployment(arn, self._get_param("stopType") or "ROLLBACK")
        return ActionResult({"serviceDeploymentArn": arn})

    def describe_service_revisions(self) -> ActionResult:
        known = self.sandbox.service_revisions()
        arns = between("ServiceRevisionArns", self._get_param("serviceRevisionArns", []), 20)
        rows = [known[arn].describe() for arn in arns if arn in known]
        return ActionResult({"serviceRevisions": rows, "failures": _missing(arns, known)})

    # Tasks

    def run_task(self) -> ActionResult:
        tasks = self.sandbox.run_tasks(self._given())
        return ActionResult({"tasks": [task.describe(tags=True) for task in tasks], "failures": []})

    def stop_task(self) -> ActionResult:
        task = self.sandbox.stop_one(self._cluster(), self._get_param("task"), self._get_param("reason"))
        return ActionResult({"task": task.describe()})

    def describe_tasks(self) -> ActionResult:
        references = between("Tasks", self._get_param("tasks", []), 100)
        found = {reference: self.sandbox.find_task(self._cluster(), reference) for reference in references}
        tasks = [task.describe(tags=self._with_tags()) for task in found.values() if task]
        lost = [self._arn("task", reference) for reference, task in found.items() if not task]
        return ActionResult({"tasks": tasks, "failures": [_failure(arn) for arn in lost]})

    def list_tasks(self) -> ActionResult:
        """Tasks whose desired status is RUNNING, unless STOPPED is asked for."""
        tasks = self.sandbox.list_tasks(
            self._cluster(),
            container_instance=self._get_param("containerInstance"),
            family=self._get_param("family"),
            started_by=self._get_param("startedBy"),
            service_name=self._get_param("serviceName"),
            desiredStatus=self._get_param("desiredStatus") or "RUNNING",
        )
        launch = self._get_param("launchType")
        arns = [task.task_arn for task in tasks if launch in (None, task.order.launch_type)]
        return self._page(arns, "taskArns", default=100)

    def list_task_definitions(self) -> ActionResult:
        """In the order of family and revision, or backwards."""
        arns = self.sandbox.list_task_definitions(self._get_param("familyPrefix"), self._get_param("status", "ACTIVE"))
        newest_first = self._get_param("sort") == "DESC"
        ordered = sorted(arns, key=_family_and_revision, reverse=newest_first)
        return self._page(ordered, "taskDefinitionArns", default=100)

    def describe_clusters(self) -> ActionResult:
        names, include = self._get_param("clusters", []), self._get_param("include", [])
        clusters, failures = self.sandbox.describe_clusters(names)
        shown = [copy.copy(cluster) for cluster in clusters]
        for cluster in shown:
            cluster.tags = cluster.tags if "TAGS" in include else None
            cluster.statistics = _statistics(cluster) if "STATISTICS" in include else []
        return ActionResult({"clusters": shown, "failures": failures})

    # Parameters

    def _given(self) -> dict[str, Any]:
        return {name: value for name, value in self._get_params().items() if value is not None}

    def _cluster(self) -> str:
        return str(self._get_param("cluster", "default"))

    def _named(self) -> tuple[str, str]:
        return self._cluster(), str(self._get_param("service"))

    def _with_tags(self) -> bool:
        return "TAGS" in self._get_param("include", [])

    def _arn(self, kind: str, reference: str) -> str:
        """The ARN of something that was not found."""
        if reference.startswith("arn:"):
            return reference
        cluster = self._cluster().split("/")[-1]
        return f"arn:aws:ecs:{self.region}:{self.current_account}:{kind}/{cluster}/{reference}"

    def _page(self, rows: list[Any], key: str, *, default: int) -> ActionResult:
        size, token = self._get_param("maxResults"), self._get_param("nextToken")
        return ActionResult(page(rows, key, size=size, token=token, default=default))


def _within(one: ServiceDeployment, window: dict[str, Any]) -> bool:
    created = one.times["createdAt"]
    after, before = window.get("after"), window.get("before")
    return (after is None or created > _aware(after)) and (before is None or created < _aware(before))


def _aware(moment: datetime) -> datetime:
    """moto parses time stamps into naive UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _full(service: Service, one: ServiceDeployment) -> dict[str, Any]:
    return one.describe({deployment.revision.arn: deployment for deployment in service.deployments})


def _missing(arns: list[str], known: dict[str, Any]) -> list[dict[str, str]]:
    return [_failure(arn) for arn in arns if arn not in known]


def _failure(arn: str) -> dict[str, str]:
    return {"arn": arn, "reason": "MISSING"}


def _family_and_revision(arn: str) -> tuple[str, int]:
    family, _, revision = arn.rsplit("/", maxsplit=1)[-1].rpartition(":")
    return family, int(revision)


def _statistics(cluster: Any) -> list[dict[str, str]]:
    """All tasks and services are on Fargate."""
    counts = {
        "runningEC2TasksCount": 0,
        "runningFargateTasksCount": cluster.running_tasks_count,
        "pendingEC2TasksCount": 0,
        "pendingFargateTasksCount": cluster.pending_tasks_count,
        "activeEC2ServiceCount": 0,
        "activeFargateServiceCount": cluster.active_services_count,
    }
    return [{"name": name, "value": str(count)} for name, count in counts.items()]
