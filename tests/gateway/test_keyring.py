"""References to credentials, resolved at the last hop."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest

from app.domain.errors import GatewayError
from app.gateway.keyring import SERVICE, resolve


class Ring(keyring.backend.KeyringBackend):
    """A system keyring in memory."""

    priority = 1.0

    def __init__(self) -> None:
        self.held = {(SERVICE, "openai"): "sk-ring"}

    def get_password(self, service: str, username: str) -> str | None:
        if username == "locked":
            raise keyring.errors.KeyringLocked("secret detail")
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[service, username]


@pytest.fixture(autouse=True)
def ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(Ring())
    monkeypatch.setenv("A_KEY", "sk-env\n")
    yield
    keyring.set_keyring(before)


def test_all_three_places(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-file\n")
    file.chmod(0o600)
    found = [resolve(reference) for reference in ("env:A_KEY", "keyring:openai", f"file:{file}")]
    assert [secret.get_secret_value() for secret in found] == ["sk-env", "sk-ring", "sk-file"]
    assert "sk-" not in repr(found) + str(found[0])


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("env:MISSING", "MISSING is not set"),
        ("keyring:other", "no key 'other'"),
        ("keyring:locked", "cannot be used: KeyringLocked"),
        ("file:relative", "no absolute path"),
        ("file:/nowhere/key", "cannot be opened"),
        ("file:/etc", "not a regular file"),
        ("sk-a-key-itself", "not a reference"),
        ("vault:x", "not a reference"),
        ("env:", "not a reference"),
    ],
)
def test_what_is_wrong_is_said_with_a_remedy(reference: str, words: str) -> None:
    with pytest.raises(GatewayError, match=words) as caught:
        resolve(reference)
    assert caught.value.hint
    assert "sk-a-key" not in str(caught.value)
    assert "secret detail" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [("k", 0o644, "others may read"), ("\n", 0o600, "empty"), ("a b\nc", 0o600, "look like")],
)
def test_files_that_will_not_do(tmp_path: Path, content: str, mode: int, words: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    file.chmod(mode)
    with pytest.raises(GatewayError, match=words):
        resolve(f"file:{file}")


def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("link", "pipe"):
        with pytest.raises(GatewayError):
            resolve(f"file:{tmp_path / name}")
