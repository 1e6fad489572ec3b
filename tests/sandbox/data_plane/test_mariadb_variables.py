"""A parameter group's variables reach the real server, and those that it cannot take are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_envdr.errors import PartFailed
from pytest_envdr.sandbox.data_plane.mariadb import MariaDB
from pytest_envdr.sandbox.data_plane.mariadb_template import EMPTY, lay_out
from pytest_envdr.sandbox.data_plane.mariadb_variables import check, set_variables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 30.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MariaDB]:
    lay_out(EMPTY, tmp_path / "data", cache=tmp_path, address="127.5.65.10")
    server = MariaDB(tmp_path / "data", address="127.5.65.10", variables={"max_connections": "51"})
    server.start()
    server.wait_until_ready(deadline=SECONDS)
    yield server
    server.stop()


def _value(server: MariaDB, name: str) -> object:
    with server.connect_as_operator(timeout=SECONDS) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT @@GLOBAL.{name}")
        [(value,)] = cursor.fetchall()
        return value


def test_variables_hold_from_a_start(server: MariaDB) -> None:
    """They win over the sandbox's own options, and over what was set while the server ran."""
    assert _value(server, "max_connections") == 51
    server.variables = {"max-connections": "52", "innodb_ft_min_token_size": "2"}
    server.stop(grace=SECONDS)
    server.start()
    server.wait_until_ready(deadline=SECONDS)
    assert (_value(server, "max_connections"), _value(server, "innodb_ft_min_token_size")) == (52, 2)


def test_dynamic_variables_are_set_and_static_ones_named(server: MariaDB) -> None:
    """Numbers, sizes, switches and words are set at once; what needs a restart is said, and left."""
    wanted = {
        "max_connections": "60",
        "max-allowed-packet": "16M",
        "event_scheduler": "OFF",
        "slow_query_log": "1",
        "long_query_time": "0.5",
        "sql_mode": "ANSI_QUOTES,NO_ZERO_DATE",
        "innodb_ft_min_token_size": "2",
    }
    assert set_variables(server, wanted) == ("innodb_ft_min_token_size",)
    values = [_value(server, name) for name in ("max_connections", "max_allowed_packet", "event_scheduler")]
    assert values == [60, 16 << 20, "OFF"]
    assert _value(server, "long_query_time") == 0.5
    assert set(str(_value(server, "sql_mode")).split(",")) == {"ANSI_QUOTES", "NO_ZERO_DATE"}


@pytest.mark.parametrize("wrong", [{"no_such_thing": "1"}, {"max_connections": "abc"}, {"binlog_format": "PROSE"}])
def test_what_the_server_cannot_take_is_told(server: MariaDB, wrong: dict[str, str]) -> None:
    """Before a start, after a failed one and while it runs, the error names the variable."""
    [name] = wrong
    with pytest.raises(PartFailed, match=name):
        check(wrong)
    with pytest.raises(PartFailed, match=name):
        set_variables(server, wrong)
    server.stop(grace=SECONDS)
    server.variables = wrong
    server.start()
    with pytest.raises(PartFailed, match="exited with code"):
        server.wait_until_ready(deadline=SECONDS)
    assert any(name in error for error in server.errors())


def test_what_it_can_take_passes() -> None:
    """Right values are no error."""
    check({"max_connections": "100", "sql_mode": "", "innodb-buffer-pool-size": "64M"})
