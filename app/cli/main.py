"""``skerry``: composes the commands, and turns errors into a sentence, a remedy and an exit status."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
import traceback
from typing import Annotated, NoReturn

import typer

from app import __version__
from app.cli import (
    act,
    agents,
    asked,
    bench,
    chaos,
    doctor,
    images,
    life,
    look,
    memory,
    orders,
    project,
    rules,
    run,
    search,
    setup_check,
    shell,
    transcript,
    window,
    workspace,
    write,
)
from app.cli.output import EXIT_CODES, FAILED, INTERNAL, INTERRUPTED, MACHINE, complain, exit_status, tell
from app.config import Paths
from app.domain.errors import HostError, SkerryError


def build() -> typer.Typer:
    """The command line, put together."""
    app = typer.Typer(
        name="skerry",
        epilog=EXIT_CODES,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        add_completion=False,
    )
    app.callback(invoke_without_command=True)(_global_options)
    app.command()(version)
    project.register(app)
    rules.register(app)
    agents.register(app)
    images.register(app)
    run.register(app)
    look.register(app)
    asked.register(app)
    transcript.register(app)
    workspace.register(app)
    search.register(app, memory.register(app))
    act.register(app)
    write.register(app)
    life.register(app)
    orders.register(app)
    shell.register(app)
    doctor.register(app)
    setup_check.register(app)
    bench.register(app)
    chaos.register(app)
    return app


def main() -> NoReturn:
    """Run the command line of this process and end it.

    Temporal's core may crash the interpreter while it finalizes: by then all is closed, so the process leaves at once.
    """
    status = 0
    try:
        command_line()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    os._exit(_flushed(status))


def command_line() -> NoReturn:
    """Carry out ``sys.argv``. Raises SystemExit with the status, whatever happens."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 gets what it can show
    try:
        build()(run.with_default_scenario(sys.argv[1:]), prog_name="skerry")
    except SkerryError as error:
        complain(error)
        sys.exit(exit_status(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone (skerry … | head); keep Python from complaining when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            complain(HostError("no space is left on the device", operation="write", hint="free some disk space"))
            sys.exit(MACHINE)
        _own_mistake(error)
        sys.exit(INTERNAL)
    sys.exit(0)


def _flushed(status: int) -> int:
    """``status``, or another when what was printed could not be delivered."""
    logging.shutdown()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        return status  # the reader has gone (skerry … | head)
    except OSError as error:
        os.write(2, f"error: the output could not be written: {error.strerror}\n".encode())
        return status or FAILED
    return status


def version() -> None:
    """Print the version."""
    typer.echo(f"skerry {__version__}")


def _show_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


def _global_options(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """A team of coding agents, each in its own virtual machine. Without a command: open the window."""
    if context.invoked_subcommand is None:
        window.open_window()


def _own_mistake(error: Exception) -> None:
    if os.environ.get("SKERRY_DEBUG"):
        traceback.print_exception(error)
        return
    tell(f"error: Skerry made a mistake: {type(error).__name__}: {error}", style="red")
    report = Paths.from_environment().logs / "crash.log"
    try:
        report.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with report.open("a", encoding="utf-8") as stream:
            traceback.print_exception(error, file=stream)
    except OSError:
        tell("SKERRY_DEBUG=1 shows where")
    else:
        tell(f"where it happened is in {report}")
