"""Databases as a client reaches them: connections, dump, load, swap."""
