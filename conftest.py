"""pytester for the plugin's own tests, and the running sandbox that they share."""

pytest_plugins = ("pytester",)
