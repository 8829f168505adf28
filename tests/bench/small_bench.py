"""A benchmark as small as can be, as JSON. Run by test_bench_sandbox: a process can have one libvirt host only."""

from __future__ import annotations

import asyncio
import json

from app.bench.rounds import Plan
from app.bench.session import run_bench, temporary_home
from tests.sandbox.conftest import images_dir

if __name__ == "__main__":
    PLAN = Plan(rounds=1, crowd_rounds=1, crowds=(2,), trips=2, bulk_rounds=1, bulk_mib=4)
    with temporary_home() as HOME:
        REPORT = asyncio.run(run_bench(PLAN, images_dir(), HOME, lambda _: None))
    print(json.dumps({"home": str(HOME), **REPORT.as_json()}))
