"""Measurements of the machines, each beside its floor: what raw QEMU and OpenSSH do with the same image."""
