"""Fixtures: a server that analyses text."""

from deeq_server import start_deeq_server  # noqa: F401  pytest finds it here
