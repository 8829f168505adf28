"""The real Codex in a real virtual machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.vm
@pytest.mark.codex
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_turn_that_was_cut_is_gone_on_with(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.runtimes.vm_story", str(tmp_path)]
    result = subprocess.run(program, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    came = json.loads(result.stdout)
    assert (came["cut"], came["note"]) == ("SandboxError", "adopted")
    assert came["log"].startswith("begun\nended\n") and came["log"].count("begun") == 1, "no command ran twice"
    assert len(set(came["sessions"])) == 1
    assert (came["thoughts"], came["words"]) == ("This takes its time.", "Done.Over.")
    assert came["calls"] == ["memory_append"]
    assert came["last"] | {"output": "dev-agent\n", "exit_status": 4, "status": "failed"} == came["last"]
