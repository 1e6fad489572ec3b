"""The application's own commands, run in a container of its own: maintenance mode, the queue."""
