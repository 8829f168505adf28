"""Histories of earlier releases still replay: an agent at work survives the update of Skerry.

Record new ones with ``SKERRY_RECORD_HISTORIES=tests/workflows/histories/VERSION pytest tests/workflows/test_agent.py``,
and keep about a dozen that differ.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from app.engine.worker import WORKFLOWS, workflow_runner

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*/*.json"))


def test_there_are_histories_of_this_release() -> None:
    assert len(HISTORIES) >= 10


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: f"{file.parent.name}-{file.stem}")
async def test_a_recorded_history_replays(file: Path) -> None:
    events = json.loads(file.read_text(encoding="utf-8"))["events"]
    started = events[0]["workflowExecutionStartedEventAttributes"]
    history = WorkflowHistory.from_json(started.get("workflowId", file.stem), file.read_text())
    replayer = Replayer(
        workflows=list(WORKFLOWS), workflow_runner=workflow_runner(), data_converter=pydantic_data_converter
    )
    await replayer.replay_workflow(history)
