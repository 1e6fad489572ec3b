"""PHP and Laravel, which the tasks run: whether they are installed."""

from __future__ import annotations

import functools
import shutil
import subprocess

from pytest_envdr.errors import MissingProgram
from pytest_envdr.settings import search_path

CHECK = (
    'foreach (["mbstring", "pcntl", "pdo_mysql", "redis", "xml"] as $e) { if (!extension_loaded($e)) exit(2); }'
    'foreach (["Illuminate/Foundation/Application.php", "Illuminate/Redis/RedisServiceProvider.php"] as $f) {'
    " if (stream_resolve_include_path($f) === false) exit(3); }"
)


@functools.cache
def check_installed() -> None:
    """Look for PHP, the extensions that the application needs, and Laravel as Debian packages it.

    Raises:
        MissingProgram: one of them is not there.
    """
    path = search_path()
    php = shutil.which("php", path=path)
    if php is None:
        raise MissingProgram.named("php", "Laravel", searched=path)
    code = subprocess.run([php, "-r", CHECK], capture_output=True, check=False).returncode
    if code == 3:
        raise MissingProgram.named("Laravel", searched="PHP's include_path")
    if code:
        raise MissingProgram.named("php", searched=f"the extensions of {php}")
