"""Decides, deterministically: no disk, no network, no clock of its own. Activities are known by name and type only."""
