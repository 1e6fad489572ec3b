"""The real parts: one file each, all of them a `Process` with a way to tell that it is ready."""
