"""The rules of the house that no other tool checks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import SCHEMAS, schema_text

ROOT = Path(__file__).resolve().parents[1]
CEILING = 400
SOURCES = ("app", "tests", "packaging", "vm_images", "docs")
KINDS = {".py", ".sh", ".toml", ""}


def sources() -> Iterator[Path]:
    yield ROOT / "skerry"
    for folder in SOURCES:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.is_file() and file.suffix in KINDS and not {"__pycache__", "node_modules"} & set(file.parts):
                yield file


def test_no_file_is_longer_than_the_ceiling() -> None:
    lengths = {file.relative_to(ROOT): len(file.read_bytes().splitlines()) for file in sources()}
    assert {str(file): length for file, length in lengths.items() if length > CEILING} == {}


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    drawers = re.compile(r"(^|_)(utils?|misc|helpers?|common)$")
    assert [str(file) for file in sources() if file.suffix == ".py" and drawers.search(file.stem)] == []


def test_qt_is_known_to_the_window_only() -> None:
    rooms = {
        file.relative_to(ROOT / "app").parts[0]
        for file in (ROOT / "app").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.Import | ast.ImportFrom) and "PySide6" in ast.unparse(node)
    }
    assert rooms <= {"ui"}


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_fresh(name: str) -> None:
    kept = ROOT / "resources" / "schema" / f"{name}.schema.json"
    assert kept.read_text() == schema_text(name), f"run: ./skerry schema {name} > {kept.relative_to(ROOT)}"


def test_importing_a_light_room_stays_light() -> None:
    heavy = ("PySide6", "libvirt", "paramiko", "openai", "anthropic", "mcp", "acp")
    program = (
        f"import sys, app.cli.main, app.config, app.domain.fleet; print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_qt_survives_ten_thousand_signals() -> None:
    """PySide6 6.12 on Python 3.11 aborts after some hundreds (it drops a reference to True each time)."""
    program = """
from PySide6.QtCore import QObject, Signal
class Sender(QObject):
    signal = Signal(bool, int, str, object)
heard = []
sender = Sender()
sender.signal.connect(lambda *values: heard.append(values))
for number in range(10_000):
    sender.signal.emit(True, number, "x", None)
print(len(heard))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout.strip()) == (0, "10000"), done.stderr
