"""Skerry: a team of coding agents, each in its own virtual machine."""

__version__ = "0.1.0"
