"""``skerry bench``: how quick machines, messages and searches are on this machine, beside what is below them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from app.bench.figures import median
from app.cli.listing import Column, Row, listing
from app.cli.output import console, emit_json, say, tell, width_of
from app.config import Paths

if TYPE_CHECKING:
    from app.bench.figures import Measure, Report, Target
    from app.bench.gateway import GatewayReport
    from app.bench.memory import MemoryReport
    from app.bench.messages import MessageReport

JsonOption = Annotated[bool, typer.Option("--json", help="The figures for programs.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    bench = typer.Typer(help="Measure this machine.", no_args_is_help=True, rich_markup_mode=None)
    bench.command("sandbox")(sandbox)
    bench.command("messages")(messages)
    bench.command("memory")(memory)
    bench.command("gateway")(gateway)
    app.add_typer(bench, name="bench")


def sandbox(
    rounds: Annotated[int, typer.Option(min=1, max=100, help="How often the starts are measured.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Two rounds and smaller copies: rough figures.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure the virtual machines beside raw QEMU and OpenSSH with the same image. Takes minutes."""
    from app.bench.rounds import Plan

    crowd_rounds = max(1, rounds * 3 // 5)
    plan = Plan(2, 1, trips=20, bulk_mib=20) if quick else Plan(rounds, crowd_rounds, bulk_rounds=max(1, rounds // 3))
    report = _measured(plan)
    if as_json:
        emit_json(report.as_json())
    else:
        _print(report)


def messages(
    rounds: Annotated[int, typer.Option(min=1, max=500, help="How many messages of each kind are measured.")] = 100,
    quick: Annotated[bool, typer.Option("--quick", help="A few rounds, small teams: rough figures.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure messages between agents beside bare Temporal updates. Takes a minute; needs no virtual machine."""
    from app.bench.messages import Plan, run_message_bench
    from app.bench.session import temporary_home

    plan = Plan(10, crowds=(3,), share=5) if quick else Plan(rounds)
    with temporary_home() as home:
        report = asyncio.run(run_message_bench(plan, home, tell))
    if as_json:
        emit_json(report.as_json())
    else:
        _print_messages(report)


def memory(
    lines: Annotated[int, typer.Option(min=1_000, max=20_000_000, help="Lines of all memory files together.")] = (
        1_000_000
    ),
    agents: Annotated[int, typer.Option(min=1, max=1_000, help="How many agents' files these are.")] = 50,
    rounds: Annotated[int, typer.Option(min=2, max=1_000, help="Searches of each of eight sorts.")] = 15,
    as_json: JsonOption = False,
) -> None:
    """Measure the search index over memory files beside ripgrep on the same files. Takes a minute or two."""
    from app.bench.memory import Plan, run_memory_bench
    from app.bench.session import temporary_home

    with temporary_home() as home:
        report = run_memory_bench(Plan(lines, agents, rounds), home, tell)
    if as_json:
        emit_json(report.as_json())
    else:
        _print_memory(report)


def gateway(
    rounds: Annotated[int, typer.Option(min=1, max=5000, help="How many short answers are measured each way.")] = 200,
    quick: Annotated[bool, typer.Option("--quick", help="A few rounds: rough figures.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure model requests through the gateway beside a direct connection. Needs no virtual machine."""
    from app.bench.gateway import Plan, run_gateway_bench
    from app.bench.session import temporary_home

    with temporary_home() as home:
        report = asyncio.run(run_gateway_bench(Plan(10, 1000) if quick else Plan(rounds), home, tell))
    if as_json:
        emit_json(report.as_json())
    else:
        _print_gateway(report)


def _print_gateway(report: GatewayReport) -> None:
    from app.bench.figures import p95

    machine, first, rates = report.machine, report.first_byte, report.rates
    say(f"{machine['cores']} cores; load before {machine['load_before']}; {machine['date']}; {report.rounds} rounds")
    for name, samples in (("direct", first.floor), ("through the gateway", first.ours)):
        say(f"first byte, {name}: p50 {median(samples):.2f} ms, p95 {p95(samples):.2f} ms")
    for name, samples in (("direct", rates.floor), ("through the gateway", rates.ours)):
        say(f"a long answer, {name}: {median(samples):.0f} MiB/s ({min(samples):.0f}–{max(samples):.0f})")
    _print_targets(report.targets)


def _print_memory(report: MemoryReport) -> None:
    machine, mib = report.machine, 1024 * 1024
    say(f"{machine['cores']} cores; load before {machine['load_before']}; {machine['date']}; {report.agents} agents")
    size = f"{report.lines:,} lines, {report.text_bytes / mib:.0f} MiB; the index {report.index_bytes / mib:.0f} MiB"
    say(f"{size}, made in {report.build_seconds:.1f} s; ripgrep {report.ripgrep or 'is not installed'}")
    out = console()
    measures = [*report.queries.values(), report.all_queries, report.update, report.still]
    rows = [Row((*_percentiles(m.ours), *_percentiles(m.floor)), Text(m.title)) for m in measures]
    columns = [Column(title) for title in ("P50", "P95", "RIPGREP P50", "P95")]
    for line in listing(columns, rows, width=width_of(out), title="MEASURE"):
        out.print(line)
    _print_targets(report.targets)


def _percentiles(samples: Sequence[float]) -> tuple[str, str]:
    from app.bench.figures import p95

    return (f"{median(samples):.1f} ms", f"{p95(samples):.1f} ms") if samples else ("–", "–")


def _print_messages(report: MessageReport) -> None:
    from app.bench.figures import p95

    machine = report.machine
    say(f"{machine['cores']} cores; load before {machine['load_before']}; {machine['date']}; {report.rounds} rounds")
    update = report.measures["sync"].floor
    say(f"bare Temporal update: p50 {median(update):.1f} ms, p95 {p95(update):.1f} ms")
    for measure in report.measures.values():
        say(f"{measure.title}: p50 {median(measure.ours):.1f} ms, p95 {p95(measure.ours):.1f} ms")
    for agents, rate in report.crowds.items():
        say(f"{agents} agents at once: {rate:.0f} messages a second, until all are read")
    _print_targets(report.targets)


def _measured(plan: object) -> Report:
    from app.bench.rounds import Plan
    from app.bench.session import run_bench, temporary_home

    assert isinstance(plan, Plan)
    images = Paths.from_environment().images

    with temporary_home() as home:

        async def whole() -> Report:
            task = asyncio.current_task()
            assert task is not None
            for number in (signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
            return await run_bench(plan, images, home, tell)

        try:
            return asyncio.run(whole())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


def _print(report: Report) -> None:
    machine = report.machine
    say(f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_mib']} MiB, {machine['accelerator']}")
    say(f"QEMU {machine['qemu']}; load before {machine['load_before']}; {machine['date']}; {report.rounds} rounds")
    out = console()
    rows = [Row(_cells(measure), Text(measure.title)) for measure in report.measures.values()]
    titles = ("OURS", "MIN–MAX", "FLOOR", "MIN–MAX", "RATIO")
    for line in listing([Column(title) for title in titles], rows, width=width_of(out), title="MEASURE"):
        out.print(line)
    _print_targets(report.targets)


def _print_targets(targets: Sequence[Target]) -> None:
    say("")
    for target in targets:
        value = "not measured" if target.value is None else f"{target.value:.2f}"
        words = f"{target.name} {value}, wanted at most {target.limit:g}: {'met' if target.ok else 'missed'}"
        say(words, style="green" if target.ok else "red")


def _cells(measure: Measure) -> Sequence[str]:
    cells = [*_samples(measure.ours, measure.unit), *_samples(measure.floor, measure.unit)]
    return (*cells, "–" if measure.ratio is None else f"{measure.ratio:.2f}")


def _samples(samples: Sequence[float], unit: str) -> tuple[str, str]:
    if not samples:
        return "–", "–"
    digits = 2 if unit == "s" else 0
    return f"{median(samples):.{digits}f} {unit}", f"{min(samples):.{digits}f}–{max(samples):.{digits}f}"
