"""The catalogue of fixtures. Each enters a context manager that exists without pytest, and does no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_envdr import collection, running
from pytest_envdr.errors import NotCleared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.buckets import TenantBucketCopy
    from pytest_envdr.drills.control_plane import LostState
    from pytest_envdr.drills.databases import RestoredDatabase
    from pytest_envdr.drills.deployments import BadDeployment
    from pytest_envdr.drills.provisioner import DisabledProvisioner
    from pytest_envdr.drills.queues import StoppedWorker
    from pytest_envdr.drills.regions import SecondaryRegion
    from pytest_envdr.drills.services import CrashedService, StoppedService
    from pytest_envdr.drills.tenants import RecoveredTenant
    from pytest_envdr.exercise import Exercise
    from pytest_envdr.journal import Journal
    from pytest_envdr.stack import Service, Stack

__all__ = [
    "approved_cutover",
    "aws",
    "bad_deployment",
    "crashed_ecs_service",
    "disabled_provisioner",
    "drill",
    "ecs_service",
    "exercise",
    "journal",
    "lost_terraform_state",
    "recovered_tenant",
    "restore_source",
    "restored_rds",
    "secondary_region",
    "stack",
    "stopped_ecs_service",
    "stopped_worker",
    "tenant_bucket_copy",
]


@pytest.fixture(scope="session")
def exercise(pytestconfig: pytest.Config) -> Iterator[Exercise]:
    """The run itself: the stack, the hands on it, its evidence.

    Without `--envdr-stack` the embedded sandbox is started when this is first needed; it ends with the run. Most tests
    want `stack` and `drill`.
    """
    with running.exercise(pytestconfig) as exercise:
        yield exercise


@pytest.fixture(scope="session")
def stack(exercise: Exercise) -> Stack:
    """What is under test, as the stack file says: services with their URLs, alarms, objectives, endpoint."""
    return exercise.stack


@pytest.fixture(scope="session")
def aws(exercise: Exercise) -> Aws:
    """The stack's account: what the functions of `pytest_envdr.aws` take first. Without `journal` nothing changes."""
    return exercise.aws


@pytest.fixture(scope="session")
def journal(exercise: Exercise) -> Journal:
    """The undo journal: what the acts of `pytest_envdr.aws` take second.

    What is written there is put back when the drill ends, or by `envdr undo`.
    """
    return exercise.journal


@pytest.fixture
def drill(request: pytest.FixtureRequest, exercise: Exercise) -> Iterator[Drill]:
    """This test's time-line: phases, marks, notes, deviations, findings, attachments, waits, and the objective.

    A finding of severity `failure` fails the test. What the test still owes at its end is put back.
    """
    with running.outcomes():
        yield exercise.drill(collection.charge(request.node))
        exercise.settle()


@pytest.fixture
def ecs_service(request: pytest.FixtureRequest, stack: Stack) -> Service:
    """The service that the drill is about. The test runs once for each of the stack's, or those of `--envdr-service`.

    A test may choose: `@pytest.mark.parametrize("ecs_service", ["api"], indirect=True)`.
    """
    return stack.services[request.param]


@pytest.fixture
def crashed_ecs_service(exercise: Exercise, drill: Drill, ecs_service: Service) -> Iterator[CrashedService]:
    """A service whose tasks were all stopped at once, with a client outside that goes on asking.

    Broken: every task (StopTask). Put back: ECS itself starts others; that is what the drill is about.
    """
    from pytest_envdr.drills import services  # noqa: PLC0415 (a run without drills needs no boto3)

    with running.outcomes():
        exercise.check_approval("ecs_failover")
        with services.crashed(exercise.aws, exercise.journal, drill, ecs_service) as service:
            yield service


@pytest.fixture
def stopped_ecs_service(exercise: Exercise, drill: Drill, ecs_service: Service) -> Iterator[StoppedService]:
    """A service that was taken down altogether, with a client outside that goes on asking.

    Broken: auto scaling suspended, then desired count 0; a queue of the drill's own listens to the alarms' topic. Put
    back: the desired count, then auto scaling, exactly as they were; the queue is deleted.
    """
    from pytest_envdr.drills import services  # noqa: PLC0415 (a run without drills needs no boto3)

    with running.outcomes():
        exercise.check_approval("ecs_failover")
        with services.stopped(exercise.aws, exercise.journal, drill, ecs_service) as service:
            yield service


@pytest.fixture
def bad_deployment(request: pytest.FixtureRequest, exercise: Exercise, drill: Drill) -> Iterator[BadDeployment]:
    """The stack's service for bad deployments, to which a broken image was deployed, with a client outside.

    The test says how it is broken: `@pytest.mark.parametrize("bad_deployment", ["exits"], indirect=True)`; the stack
    file names the images, in `[bad_deployment.images]`. "exits via pipeline" has the pipeline ship it, from source over
    build to deployment; the stack file names the revisions, in `[bad_deployment.revisions]`.

    Broken: a revision with that image is registered and deployed, by the drill or by the pipeline, which ships nothing
    else meanwhile. Put back: the pipeline's execution is ended, the service runs the revision of before, and what was
    registered is deregistered; then the pipeline may ship again.
    """
    from pytest_envdr.drills import deployments  # noqa: PLC0415 (a run without drills needs no boto3)

    with running.outcomes():
        exercise.check_approval("bad_deployment_rollback")
        kind, way = deployments.variant(str(request.param))
        with deployments.deployed_badly(exercise.aws, exercise.journal, drill, kind=kind, way=way) as deployment:
            yield deployment


@pytest.fixture
def restore_source(request: pytest.FixtureRequest) -> str:
    """What the database is restored from: "automated", "manual", "point-in-time" or "backup". The test runs once for
    each, or for those of `--envdr-restore-from`.

    A test may choose: `@pytest.mark.parametrize("restore_source", ["manual"], indirect=True)`.
    """
    return str(request.param)


@pytest.fixture
def restored_rds(exercise: Exercise, drill: Drill, restore_source: str) -> Iterator[RestoredDatabase]:
    """The database instance, to be restored aside step by step and validated whole.

    Broken: nothing; the application is in maintenance mode meanwhile. Created: an instance, a parameter group and a
    security group of the drill's own, and a task of the application that is pointed there. Put back: maintenance mode
    ends first; then all of these go, and are seen to be gone.
    """
    from pytest_envdr.drills import databases  # noqa: PLC0415 (a run without drills needs no boto3)

    with running.outcomes():
        exercise.check_approval("database_restore")
        with databases.restored(exercise.aws, exercise.journal, drill, source=restore_source) as database:
            yield database


@pytest.fixture
def approved_cutover(stack: Stack) -> str:
    """Who approved that services are cut over to a restored database; skips the test where nobody did."""
    from pytest_envdr.drills import cutover  # noqa: PLC0415 (a run without drills needs no boto3)

    try:
        cutover.check_allowed(stack)
    except NotCleared as error:
        pytest.skip(str(error))
    return stack.approvals["database_restore"].by


@pytest.fixture
def recovered_tenant(request: pytest.FixtureRequest, exercise: Exercise, drill: Drill) -> Iterator[RecoveredTenant]:
    """The tenant that drills may damage, damaged, to be recovered step by step from the instance restored aside.

    The test says how it is damaged: `@pytest.mark.parametrize("recovered_tenant", ["rows deleted"], indirect=True)`, or
    "rows overwritten", "table dropped", "database dropped".

    Broken: that tenant's database; the tenant is out of service while it is recovered. Put back: what was recovered
    stays where it equals what was before the damage, else the dump from before is loaded; the instance restored aside
    and all copies go.
    """
    from pytest_envdr.drills import tenants  # noqa: PLC0415 (a run without drills needs no boto3)

    with running.outcomes():
        exercise.check_approval("single_tenant_recovery")
        with tenants.recovered(exercise.aws, exercise.journal, drill, request.param) as tenant:
            yield tenant


@pytest.fixture
def tenant_bucket_copy(request: pytest.FixtureRequest, exercise: Exercise, drill: Drill) -> Iterator[TenantBucketCopy]:
    """The bucket of the tenant that drills may damage, damaged, to be recovered step by step into a staging bucket.

    The test says how it is damaged and what it is recovered from: `@pytest.mark.parametrize("tenant_bucket_copy",
    [("emptied", "backup")], indirect=True)`; "deleted", "overwritten" or "emptied"; "versions" or "backup".

    Broken: objects of that bucket, by delete markers or newer versions; where merging is approved, the copies are
    written over them. Created: a staging bucket of the drill's own. Put back: what the drill added to the tenant's
    bucket is deleted, version by version, and nothing else is; the staging bucket goes with all that is in it.
    """
    from pytest_envdr.drills import buckets  # noqa: PLC0415 (a run without drills needs no boto3)

    with running.outcomes():
        exercise.check_approval("tenant_bucket_recovery")
        damage, source = request.param
        aws, journal, bucket = exercise.aws, exercise.journal, buckets.tenant_bucket(exercise.aws)
        limit = exercise.copy_limit
        with buckets.copied(aws, journal, drill, bucket, damage=damage, source=source, copy_limit=limit) as copy:
            yield copy


@pytest.fixture
def stopped_worker(request: pytest.FixtureRequest, exercise: Exercise, drill: Drill) -> Iterator[StoppedWorker]:
    """The queue's workers, stopped while they had marked jobs in hand and others were pending, delayed or failing.

    The test says how: `@pytest.mark.parametrize("stopped_worker", ["killed"], indirect=True)`, or "stopped" (in good
    order), "all stopped" (the service taken down) or "database away" (rebooted while jobs end). What restarts database
    or cache is skipped where the approval does not allow it, and a fault of a cache where the queue is in none.

    Broken: the workers' tasks, or the desired count, auto scaling suspended; or database or cache restart. Created:
    marked jobs, with an outbox and a ledger in the central database. Put back: the desired count, then auto scaling;
    marked jobs go from all places of the queue, with their locks and rows, and nothing else does.
    """
    from pytest_envdr.drills import queues  # noqa: PLC0415 (a run without drills needs no boto3)

    with running.outcomes():
        exercise.check_approval("worker_queue_recovery")
        if why := queues.unsuited(exercise.stack, request.param):
            pytest.skip(why)
        with queues.stopped(exercise.aws, exercise.journal, drill, how=request.param) as worker:
            yield worker


@pytest.fixture
def lost_terraform_state(request: pytest.FixtureRequest, exercise: Exercise, drill: Drill) -> Iterator[LostState]:
    """The stack's Terraform state, lost, to be recovered step by step from its bucket's versions.

    The test says how it is lost and where: `@pytest.mark.parametrize("lost_terraform_state", [("deleted", "copy")],
    indirect=True)`; "deleted", "truncated", "older", "foreign" or "locked"; on a "copy", or on the "original", which is
    skipped where the approval does not allow it.

    Broken: that state; of the original the drill holds the lock meanwhile. Created: of a copy, objects under `envdr/`
    in the state's bucket, and items in the lock table. Put back: all of that goes; the original has its versions, its
    digest and no lock. Nothing is ever applied.
    """
    from pytest_envdr.drills import control_plane  # noqa: PLC0415 (a run without drills needs no boto3)

    with running.outcomes():
        exercise.check_approval("control_plane_loss")
        loss, where = request.param
        if why := control_plane.unsuited(exercise.stack, where):
            pytest.skip(why)
        with control_plane.lost(exercise.aws, exercise.journal, drill, loss=loss, where=where) as state:
            yield state


@pytest.fixture
def disabled_provisioner(
    request: pytest.FixtureRequest, exercise: Exercise, drill: Drill
) -> Iterator[DisabledProvisioner]:
    """The provisioner of tenants' buckets, kept from its work, and a tenant that was founded meanwhile.

    The test says how: `@pytest.mark.parametrize("disabled_provisioner", ["concurrency 0"], indirect=True)`, or "rule
    disabled", "permission removed" or "code broken" (every invocation fails).

    Broken: the Lambda function's reserved concurrency, its rule, its policy or its handler. Created: a tenant, founded
    through the application, its database, its bucket, made by hand; and buckets of tenants that there are not, which
    show whether the provisioner works. Put back: that setting, exactly as it was; of tenants, database, buckets and
    messages in dead-letter queues nothing is left.
    """
    from pytest_envdr.drills import provisioner  # noqa: PLC0415 (a run without drills needs no boto3)

    with running.outcomes():
        exercise.check_approval("lambda_provisioner_failure")
        with provisioner.disabled(exercise.aws, exercise.journal, drill, how=request.param) as disabled:
            yield disabled


@pytest.fixture
def secondary_region(exercise: Exercise, drill: Drill) -> Iterator[SecondaryRegion]:
    """The standby Region, in which the stack is built again step by step, and tested there without the primary.

    Broken: nothing; the standby Region is cut off from the primary while it is tested the second time. Created: all
    that the modules make there, and the database restored from its replicated backup. Put back: all of it goes, and is
    seen to be gone.
    """
    from pytest_envdr.drills import regions  # noqa: PLC0415 (a run without drills needs no boto3)

    with running.outcomes():
        exercise.check_approval("regional_failover")
        with regions.built(exercise.aws, exercise.journal, drill) as region:
            yield region
