pytest_plugins = ("pytester", "tests.sandbox_fixture")
