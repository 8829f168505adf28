"""Keys of one machine: the host key we give it and pin, and the key we log in with."""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_NAME = b"ssh-ed25519"


@dataclass(frozen=True, slots=True)
class MachineKeys:
    """``host`` is the machine's identity, ``client`` ours.

    Both are made here and never leave this host, but for the machine's own copy of its host key.
    """

    host: Ed25519PrivateKey
    client: Ed25519PrivateKey

    @property
    def host_key_file(self) -> bytes:
        """The host key as the machine's SSH server reads it."""
        return _pem(self.host)

    @property
    def pinned(self) -> bytes:
        """The host key's public half as it goes over the wire."""
        return _string(_NAME) + _string(_public(self.host))

    @property
    def authorized_key(self) -> str:
        """One line for authorized_keys."""
        return _public_line(self.client)

    @property
    def host_public_line(self) -> str:
        """The host key's public half as it stands in known_hosts, after the name."""
        return _public_line(self.host)

    @property
    def login(self) -> paramiko.PKey:
        """Our key as paramiko wants it."""
        return paramiko.Ed25519Key.from_private_key(io.StringIO(_pem(self.client).decode("ascii")))


def load_or_make_keys(folder: Path) -> MachineKeys:
    """The keys in ``folder``; made and kept there, readable by us alone, when they are missing."""
    return MachineKeys(_load_or_make(folder / "host_key"), _load_or_make(folder / "client_key"))


def _load_or_make(path: Path) -> Ed25519PrivateKey:
    if path.exists():
        key = serialization.load_ssh_private_key(path.read_bytes(), password=None)
        if isinstance(key, Ed25519PrivateKey):
            return key
    made = Ed25519PrivateKey.generate()
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(_pem(made))
    draft.replace(path)
    return made


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def _public_line(key: Ed25519PrivateKey) -> str:
    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return line.decode("ascii")


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
