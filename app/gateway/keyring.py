"""From a credential's reference to the secret, at the last hop: the one module that ever holds a key."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pydantic import SecretStr

from app.domain.errors import GatewayError

SERVICE = "skerry"
"""The name our entries have in the system's keyring."""
MAX_BYTES = 16_384
_KINDS = ("env", "keyring", "file")


def resolve(reference: str) -> SecretStr:
    """The secret behind ``env:NAME``, ``keyring:name`` or ``file:/path`` (regular file, mode 0600, ours).

    May block (the keyring asks over D-Bus, and may ask the user): call it in a thread. Raises GatewayError with the
    remedy; the error names the reference, never what was found there.
    """
    kind, name = parse_reference(reference)
    secret = {"env": _from_environment, "keyring": _from_keyring, "file": _from_file}[kind](name).strip()
    if not secret:
        raise _failure(f"the credential {reference} is empty", "store the key again")
    if not secret.isascii() or not secret.isprintable():
        raise _failure(f"the credential {reference} does not look like a key", "store the key alone, on one line")
    return SecretStr(secret)


def parse_reference(reference: str) -> tuple[str, str]:
    """``(kind, name)`` of a reference. Raises GatewayError when it is none, without repeating it: it may be a key."""
    kind, colon, name = reference.partition(":")
    if not colon or kind not in _KINDS or not name:
        raise _failure(
            "the provider's credential is not a reference", "write env:NAME, keyring:name or file:/path, not the key"
        )
    return kind, name


def _from_environment(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise _failure(
            f"the environment variable {name} is not set", f"set {name} where the engine is started, then restart it"
        ) from None


def _from_keyring(name: str) -> str:
    import keyring  # slow: looks for back ends
    import keyring.errors

    try:
        found = keyring.get_password(SERVICE, name)
    except keyring.errors.KeyringError as error:
        raise _failure(
            f"the system keyring cannot be used: {type(error).__name__}", "unlock it, or use env:NAME or file:/path"
        ) from None
    if found is None:
        raise _failure(f"the keyring has no key {name!r}", f"store it: keyring set {SERVICE} {name}")
    return found


def _from_file(name: str) -> str:
    path = Path(name).expanduser()
    if not path.is_absolute():
        raise _failure(f"the credential file {name} has no absolute path", "write file:/home/…/key")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _failure(f"the credential file {path} cannot be opened: {error.strerror}", "see if it is there") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
            raise _failure(f"the credential file {path} is not a regular file of yours", "make one that is")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise _failure(f"others may read the credential file {path}", f"chmod 600 {path}")
        return os.read(descriptor, MAX_BYTES).decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def _failure(message: str, hint: str) -> GatewayError:
    return GatewayError(message, operation="find the credential", hint=hint)
