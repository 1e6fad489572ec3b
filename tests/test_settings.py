"""Settings: declared once, resolved once, each with its source."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from pytest_envdr import settings
from pytest_envdr.errors import UsageError
from pytest_envdr.settings import OPTIONS, Option, Settings, resolve


def nothing(_: Option) -> None:
    """A command line that says nothing."""


def saying(**texts: str | list[str]) -> settings.Lookup:
    """A command line or ini file that says this."""
    return lambda row: texts.get(row.name)


def test_every_setting_is_an_option_declared_once() -> None:
    """Each field but `sources` is one option; flags, ini keys, variables and arguments are all different."""
    assert [row.name for row in OPTIONS] == [field.name for field in fields(Settings) if field.name != "sources"]
    for names in zip(*((row.flag, row.ini, row.variable, row.argument, row.dest) for row in OPTIONS), strict=True):
        assert len(set(names)) == len(OPTIONS)


def test_the_three_names_have_one_stem() -> None:
    """`--envdr-state-dir`, `envdr_state_dir` and `ENVDR_STATE_DIR` are one setting."""
    row = next(row for row in OPTIONS if row.name == "state_directory")
    assert (row.flag, row.ini, row.variable, row.argument) == (
        "--envdr-state-dir",
        "envdr_state_dir",
        "ENVDR_STATE_DIR",
        "--state-dir",
    )


def test_defaults_say_so() -> None:
    """Nothing given: everything is left open but the state directory, and each source is "default"."""
    found = resolve(nothing, environment={})
    assert (found.stack, found.evidence, found.service, found.speed, found.tenants) == (None, None, (), None, None)
    assert found.state_directory.name == "envdr"
    assert {found.source(row.name) for row in OPTIONS} == {"default"}


@pytest.mark.parametrize(
    ("option", "environment", "ini", "value", "source"),
    [
        ("1", "2", "3", 1.0, "--envdr-speed"),
        (None, "2", "3", 2.0, "ENVDR_SPEED"),
        (None, None, "3", 3.0, "envdr_speed (ini)"),
        (None, None, None, None, "default"),
        (None, "", "", None, "default"),
    ],
)
def test_precedence_and_source(
    option: str | None, environment: str | None, ini: str | None, value: float | None, source: str
) -> None:
    """The option holds over the environment, that over the ini file, that over the default; empty says nothing."""
    found = resolve(
        lambda row: option if row.name == "speed" else None,
        lambda row: ini if row.name == "speed" else None,
        environment={} if environment is None else {"ENVDR_SPEED": environment},
    )
    assert (found.speed, found.source("speed")) == (value, source)


def test_an_ini_path_starts_at_the_ini_file() -> None:
    """A relative path in the ini file starts where that file is, one on the command line where the user is."""
    found = resolve(nothing, saying(stack="s.toml"), ini_directory=Path("/project"), environment={})
    assert found.stack == Path("/project/s.toml")
    assert resolve(saying(stack="s.toml"), environment={}).stack == Path.cwd() / "s.toml"


@pytest.mark.parametrize("given", ["api, worker", ["api", "worker,api"], "api worker"])
def test_names_may_be_listed_or_repeated(given: str | list[str]) -> None:
    """`--envdr-service api,worker` and `--envdr-service api --envdr-service worker` are the same."""
    assert resolve(saying(service=given), environment={}).service == ("api", "worker")


def test_sources_of_a_restore_are_known_by_name() -> None:
    """`--envdr-restore-from` takes those that there are, in the user's order."""
    assert resolve(saying(restore_from="backup,manual"), environment={}).restore_from == ("backup", "manual")


def test_an_option_that_was_not_repeated_says_nothing() -> None:
    """argparse's empty list for a repeatable option leaves the environment its say."""
    assert resolve(saying(service=[]), environment={"ENVDR_SERVICE": "hq"}).service == ("hq",)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("speed", text) for text in ("fast", "0", "nan", "inf", "-1")),
        *(("tenants", text) for text in ("0", "2.5", "x")),
        ("stack", ""),
        ("service", " , "),
        ("restore_from", "yesterday"),
        ("restore_from", "manual,tape"),
        ("tenant", " "),
        ("copy_limit", "5GB"),
    ],
)
def test_a_wrong_value_names_its_source_and_the_remedy(name: str, text: str) -> None:
    """A value that cannot be used is one message with the option, what is needed, and what the option is for."""
    with pytest.raises(UsageError) as caught:
        resolve(saying(**{name: text}), environment={})
    assert str(caught.value).startswith(f"--envdr-{name.replace('_', '-')}: ")
    assert " needed, not " in str(caught.value)
    assert "To go on: --envdr-" in str(caught.value)


def test_a_wrong_variable_is_named() -> None:
    """The message names the variable when the value came from there."""
    with pytest.raises(UsageError, match=r"^ENVDR_TENANTS: a whole number greater than 0 is needed, not 'many'"):
        resolve(nothing, environment={"ENVDR_TENANTS": "many"})


def test_the_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """ENVDR_STATE_DIR moves the journal; `~` is the user's home."""
    monkeypatch.setenv("ENVDR_STATE_DIR", "~/elsewhere")
    assert resolve(nothing).state_directory == Path.home() / "elsewhere"


def test_only_settings_reads_the_environment() -> None:
    """No other module of the product reads os.environ."""
    package = Path(settings.__file__).parent
    readers = [path.name for path in package.rglob("*.py") if "os.environ" in path.read_text()]
    assert readers == ["settings.py"]


def test_settings_cost_nothing() -> None:
    """Importing them imports neither boto3, moto, pydantic, tenacity nor platformdirs."""
    heavy = "boto3 botocore moto pydantic tenacity platformdirs"
    program = f"import sys, pytest_envdr.settings; print([m for m in {heavy.split()} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_ci_is_told_by_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """`CI=true` or CodeBuild's own variable; `CI=false` is none."""
    monkeypatch.delenv("CODEBUILD_BUILD_ID", raising=False)
    monkeypatch.setenv("CI", "false")
    assert not settings.in_ci()
    monkeypatch.setenv("CI", "true")
    assert settings.in_ci()
    monkeypatch.delenv("CI")
    monkeypatch.setenv("CODEBUILD_BUILD_ID", "envdr:1")
    assert settings.in_ci()


def test_who_and_where() -> None:
    """The report's user and host are never empty."""
    assert settings.user()
    assert settings.host()
