"""pytest-envdr."""
