"""Starts and stops things, in order: the Temporal server, the worker, the gateway, the sandbox host."""
