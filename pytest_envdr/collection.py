"""What is looked at before any test runs: which are drills, over which services, and whether they are safe to run.

Refusals come as one message with the place and the remedy, exit code 4.
"""

from __future__ import annotations

import inspect
import signal
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import settings
from pytest_envdr.errors import EnvdrError, UsageError
from pytest_envdr.scenarios import SCENARIOS
from pytest_envdr.settings import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_envdr.exercise import Charge
    from pytest_envdr.settings import Option, Settings

SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
REFUSAL: pytest.StashKey[str] = pytest.StashKey()
"""What is wrong with the options, found while tests were parametrised; raised when the collection is complete."""
SERVICE = "ecs_service"
RESTORE_SOURCE = "restore_source"
OVERRIDES = ("rto_seconds", "rpo_seconds", "detect_seconds")
"""What a scenario's marker may say otherwise than the stack file, in wall seconds."""
THREAD = (
    "pytest-timeout's method `thread` ends the whole process at once: nothing that a drill broke would be put back, "
    "and no evidence would be written.\nTo go on: use the method `signal`."
)
TOGETHER = (
    "Drills are not run by pytest-xdist: all of them break and mend the same stack, and would measure each other.\n"
    "To go on: leave -n out, or deselect the drills."
)


def settings_of(config: pytest.Config) -> Settings:
    """The run's settings, resolved once.

    Raises:
        UsageError: an option, variable or ini key cannot be used.
    """
    if SETTINGS not in config.stash:

        def option(row: Option) -> Any:
            return config.getoption(row.dest)

        def ini(row: Option) -> Any:
            return config.getini(row.ini)

        start = config.inipath.parent if config.inipath else config.rootpath
        config.stash[SETTINGS] = settings.resolve(option, ini, ini_directory=start)
    return config.stash[SETTINGS]


def is_drill(item: pytest.Item) -> bool:
    """Whether a test needs the exercise."""
    return "exercise" in getattr(item, "fixturenames", ())


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Run a drill over services, or over sources of a restore, once for each, unless the test says itself which."""
    for argument, words in ((SERVICE, services), (RESTORE_SOURCE, restore_sources)):
        _parametrize_over(metafunc, argument, words)


def _parametrize_over(metafunc: pytest.Metafunc, argument: str, words: Callable[[Settings], Sequence[str]]) -> None:
    own = metafunc.definition.iter_markers("parametrize")
    if argument not in metafunc.fixturenames or any(argument in str(mark.args[:1]) for mark in own):
        return
    found: Sequence[str] = ()
    try:
        found = words(settings_of(metafunc.config))
    except EnvdrError as error:
        metafunc.config.stash[REFUSAL] = str(error)
    metafunc.parametrize(argument, found, indirect=True)


def restore_sources(settings: Settings) -> Sequence[str]:
    """What databases are restored from: what was asked for, else all that there is."""
    return settings.restore_from or SOURCES


def services(settings: Settings) -> list[str]:
    """The services to exercise: those asked for, else all; the embedded sandbox's are known without starting it.

    Raises:
        UsageError: the stack file cannot be used, or has no service of that name; says which there are.
    """
    if settings.stack is not None:
        from pytest_envdr import stack  # noqa: PLC0415 (a run without drills needs no stack file)

        known = list(stack.read(settings.stack).services)
        where = str(settings.stack)
    else:
        from pytest_envdr.sandbox.envelope.names import SERVICES  # noqa: PLC0415

        known = [service.word for service in SERVICES]
        where = "the embedded sandbox"
    unknown = [word for word in settings.service if word not in known]
    if unknown:
        raise UsageError(
            f"{settings.source('service')}: there is no service {', '.join(unknown)}; there are {', '.join(known)}.\n"
            f"Looked at: {where}"
        )
    return [word for word in known if not settings.service or word in settings.service]


def check(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse a run whose drills would be unsafe, or whose options or markers are wrong.

    Raises:
        UsageError: pytest's, with the place and the remedy.
    """
    try:
        for item in items:
            overrides(item)
        drills = [item for item in items if is_drill(item)]
        if not drills:
            return
        if refusal := config.stash.get(REFUSAL, ""):
            raise UsageError(refusal)
        settings_of(config)
        _check_timeouts(config, drills)
        _check_alone(config, items)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None


def overrides(item: pytest.Item) -> dict[str, float]:
    """What the scenario's marker on a test says otherwise than the stack file.

    Raises:
        UsageError: an argument that there is not, or that is no number of seconds; names file and line.
    """
    found: dict[str, float] = {}
    for mark in reversed([mark for mark in item.iter_markers() if mark.name in SCENARIOS]):
        wrong = [repr(value) for value in mark.args]
        wrong += [f"{key}={value!r}" for key, value in mark.kwargs.items() if not _duration(key, value)]
        if wrong:
            path, line, _ = item.location
            raise UsageError(
                f"{path}:{(line or 0) + 1}: @pytest.mark.{mark.name}({', '.join(wrong)}) is not understood: it takes "
                f"{', '.join(OVERRIDES)}, each by name and in seconds."
            )
        found |= mark.kwargs
    return found


def charge(item: pytest.Item) -> Charge:
    """What a test asks of the exercise."""
    from pytest_envdr.exercise import Charge  # noqa: PLC0415 (a run without drills needs no exercise)

    scenario = next((mark.name for mark in item.iter_markers() if mark.name in SCENARIOS), "")
    name = getattr(item, "originalname", item.name)
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return Charge(
        node_id=item.nodeid,
        scenario=scenario,
        title=name.removeprefix("test_").replace("_", " ").capitalize(),
        service=parameters.get(SERVICE),
        criterion=_documented(getattr(item, "function", None)),
        steps=_documented(getattr(item, "module", None)),
        overrides=overrides(item),
    )


def _duration(key: str, value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return key in OVERRIDES and number and (value > 0 or (key == "rpo_seconds" and value == 0))  # type: ignore[operator]


def _documented(thing: object) -> str:
    return inspect.cleandoc(getattr(thing, "__doc__", None) or "")


def _check_timeouts(config: pytest.Config, drills: Iterable[pytest.Item]) -> None:
    """A time-out must leave room for putting things back; pytest-timeout reads marker, option and ini in this order."""
    if not config.pluginmanager.has_plugin("timeout"):
        return
    option, ini = config.getoption("timeout_method", None), config.getini("timeout_method")
    for method, where in (
        (option, "--timeout-method"),
        (None if option else ini, "timeout_method in the ini file"),
        (None if option or ini else "signal" if hasattr(signal, "SIGALRM") else "thread", "this platform"),
    ):
        if method == "thread":
            raise UsageError(f"{where}: {THREAD}")
    for item in drills:
        mark = item.get_closest_marker("timeout")
        if mark and "thread" in (*mark.args[1:2], mark.kwargs.get("method")):
            path, line, _ = item.location
            raise UsageError(f"{path}:{(line or 0) + 1}: @pytest.mark.timeout: {THREAD}")


def _check_alone(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A worker of pytest-xdist cannot refuse the run; it hands the reason to the one that can, and runs no drill."""
    output = getattr(config, "workeroutput", None)
    if output is not None:
        output[TOGETHER_KEY] = TOGETHER
        items[:] = [item for item in items if not is_drill(item)]


TOGETHER_KEY = "envdr_refusal"


def refuse_together(node: Any) -> None:
    """Refuse the run for what a worker found.

    Raises:
        UsageError: pytest's.
    """
    refusal = getattr(node, "workeroutput", {}).get(TOGETHER_KEY)
    if refusal:
        raise pytest.UsageError(refusal)
