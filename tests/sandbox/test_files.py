"""Several files of one folder, written in one go."""

from __future__ import annotations

import pytest

from app.domain.errors import SandboxError
from tests.sandbox.conftest import Bench

pytestmark = pytest.mark.vm


async def test_files_of_a_folder_appear_together_and_replace_older_ones(bench: Bench) -> None:
    folder = "/home/agent/.settings"
    await bench.sandbox.write_files(folder, {"a.toml": b"old", "b c": b""}, mode=0o600)
    await bench.sandbox.write_files(folder, {"a.toml": b"new\n" * 50_000, ".hidden": b"x", "-n": b"y"}, mode=0o600)
    assert await bench.sandbox.read_file(f"{folder}/a.toml") == b"new\n" * 50_000
    listed = await bench.sandbox.run("stat -c '%n %a %U' -- * .[a-z]*", timeout=60, cwd=folder)
    assert listed.output.decode().split("\n")[:-1] == [
        "-n 600 agent",
        "a.toml 600 agent",
        "b c 600 agent",
        ".hidden 600 agent",
    ]


@pytest.mark.parametrize("name", ["", "..", "../x", "/etc/passwd"])
async def test_a_name_cannot_lead_elsewhere(bench: Bench, name: str) -> None:
    with pytest.raises(SandboxError, match="no name for a file"):
        await bench.sandbox.write_files("/workspace", {name: b""})
