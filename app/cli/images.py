"""``skerry image``: what machines boot from, and the tool packs they get."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from app.cli.listing import Column, Row, listing
from app.cli.output import console, emit_json, error_console, plain_line, say, tell, width_of
from app.config import Paths
from app.domain.errors import ImageError
from app.domain.ports import Progress
from app.domain.quantities import format_size
from app.sandbox.image import ImageBuilder
from app.sandbox.licence import Acceptances
from app.sandbox.package_lock import drift_from_lock, lock_file, write_lock
from app.sandbox.packs import PackBuilder

if TYPE_CHECKING:
    from app.sandbox.stock import Stocked  # knows machines, and so loads SSH: only where it is needed

JsonOption = Annotated[bool, typer.Option("--json", help="The result for programs.")]
_WORTH_MENTIONING = 2**30


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    image = typer.Typer(help="Images and tool packs of the machines.", no_args_is_help=True, rich_markup_mode=None)
    image.command("build")(build)
    image.command("list")(list_images)
    image.command("prune")(prune_images)
    app.add_typer(image, name="image")


def build(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Default: base and codex.")] = None,
    pack: Annotated[list[str] | None, typer.Option("--pack", metavar="NAME", help="A tool pack; the same.")] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="I have read the licences of these packs and accept them.")
    ] = False,
    update_lock: Annotated[
        bool, typer.Option("--update-lock", help="Write the versions of the packages beside the recipe.")
    ] = False,
    paths_to: Annotated[
        Path | None, typer.Option(hidden=True, help="Write what was built here, one path a line.")
    ] = None,
) -> None:
    """Build images and tool packs that are missing. The first time takes minutes and needs the network."""
    paths = Paths.from_environment()
    paths.prepare()
    wanted = [*(names or ()), *(pack or ())] or ["base", "codex"]
    images, packs = _builders(paths)
    for name in wanted:
        _check_licence(packs, name, accept_licence)
    with _progress() as progress:
        folders = [ensure(paths, name, progress) for name in wanted]
    for name, folder in zip(wanted, folders, strict=True):
        say(str(folder))
        if name in images.names():
            _compare_versions(paths.recipes / name, folder, update_lock)
    if paths_to is not None:
        paths_to.write_text("".join(f"{folder}\n" for folder in folders))
    _mention_old(paths)


def list_images(as_json: JsonOption = False) -> None:
    """List images, tool packs and templates, what they take on the disk, and who needs them."""
    from app.sandbox.stock import take_stock

    paths = Paths.from_environment()
    images, packs = _builders(paths)
    stock = take_stock(images, packs)
    unbuilt = [("image", name) for name in images.names() if images.find(name) is None]
    unbuilt += [("pack", name) for name in packs.names() if packs.find(name) is None]
    if as_json:
        emit_json([_json(item) for item in stock] + [_unbuilt_json(kind, name) for kind, name in unbuilt])
        return
    rows = [_row(item) for item in stock]
    rows += [Row((name, kind, "–"), Text("not built: skerry image build " + name)) for kind, name in unbuilt]
    _show(rows)
    expendable = [item for item in stock if item.expendable]
    say(f"{format_size(sum(item.bytes for item in stock))} in {paths.images}")
    if expendable:
        say(f"{format_size(sum(item.bytes for item in expendable))} of it nobody needs: skerry image prune")


def prune_images(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is of today's recipes, where no machine needs it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove images, tool packs and templates that no machine needs and today's recipes do not make."""
    from app.sandbox.stock import prune, take_stock

    paths = Paths.from_environment()
    images, packs = _builders(paths)
    doomed = [item for item in take_stock(images, packs, everything=everything) if item.expendable]
    stayed: dict[Path, str] = {}

    def told(item: Stocked, why: str) -> None:
        if why:
            stayed[item.folder] = why
            tell(f"{item.folder.name} stays: {plain_line(why)}")

    freed = sum(item.bytes for item in doomed) if dry_run else prune(images.folder, doomed, told)
    gone = [item for item in doomed if item.folder not in stayed]
    if as_json:
        emit_json({"dry_run": dry_run, "bytes": freed, "removed": [_json(item) for item in gone]})
        return
    _show([_row(item) for item in gone])
    verb = "would be free" if dry_run else "freed"
    say(f"{format_size(freed)} {verb}" if gone else "nothing to remove: machines or today's recipes need all there is")


def ensure(paths: Paths, name: str, progress: Progress = tell) -> Path:
    """The folder of the image or pack called ``name``, built now if need be. Raises ImageError or HostError."""
    images, packs = _builders(paths)
    if name in images.names():
        return images.ensure(name, progress).folder
    if name in packs.names():
        return packs.ensure(name, progress).folder
    known = ", ".join(images.names() + packs.names())
    raise ImageError(f"there is no image or pack {name!r}", operation="image build", hint=f"known: {known}")


def _check_licence(packs: PackBuilder, name: str, accepted: bool) -> None:
    """Ask for what must be accepted. Raises ImageError when it is not; nothing has been fetched then."""
    if name not in packs.names() or (licence := packs.licence(name)) is None:
        return
    tell(f"{licence.name} is a program of {licence.publisher}. It is fetched to this machine, under these terms:")
    for address in licence.terms:
        tell(f"  {address}")
    if not accepted and not (sys.stdin.isatty() and typer.confirm("Do you accept them?", err=True)):
        hint = f"read them, then: skerry image build --pack {name} --accept-licence"
        raise ImageError(f"the licence of {licence.name} was not accepted", operation="image build", hint=hint)
    packs.accept(name)


def _compare_versions(recipe: Path, image: Path, update: bool) -> None:
    if update:
        count = write_lock(recipe, image)
        tell(f"{count} versions written to {lock_file(recipe)}")
    elif drift := drift_from_lock(recipe, image):
        tell(drift)


@contextmanager
def _progress() -> Iterator[Progress]:
    """One moving line with the seconds in a terminal, a line a step elsewhere."""
    err = error_console()
    if not err.is_terminal:
        yield tell
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Bar(*columns, console=err, transient=True) as bar:
        step = bar.add_task("looking at what is there", total=None)
        yield lambda words: bar.update(step, description=plain_line(words, max(20, err.width - 16)))


def _mention_old(paths: Paths) -> None:
    from app.sandbox.stock import take_stock

    old = [item for item in take_stock(*_builders(paths)) if item.expendable]
    size = sum(item.bytes for item in old)
    if size > _WORTH_MENTIONING:
        tell(f"{len(old)} older ones take {format_size(size)} and nobody needs them: skerry image prune")


def _builders(paths: Paths) -> tuple[ImageBuilder, PackBuilder]:
    images = ImageBuilder(paths.images, paths.recipes)
    if paths.images.is_dir() and paths.machines.is_dir():
        images.register(paths.machines)  # machines of a Skerry that did not yet register them count too
    return images, PackBuilder(paths.images, paths.packs, Acceptances(paths.licences_json))


def _show(rows: list[Row]) -> None:
    out = console()
    columns = [Column(title) for title in ("NAME", "KIND", "SIZE")]
    for line in listing(columns, rows, width=width_of(out), title="WHY"):
        out.print(line)


def _row(item: Stocked) -> Row:
    return Row((item.folder.name, item.kind, format_size(item.bytes)), Text(plain_line(item.verdict)))


def _json(item: Stocked) -> dict[str, Any]:
    return {
        "name": item.name,
        "kind": item.kind,
        "built": item.kind != "leftover",
        "current": item.current,
        "folder": str(item.folder),
        "bytes": item.bytes,
        "machines": list(item.machines),
        "expendable": item.expendable,
        "why": item.verdict,
    }


def _unbuilt_json(kind: str, name: str) -> dict[str, Any]:
    absent = {"current": True, "folder": "", "bytes": 0, "machines": [], "expendable": False, "why": "not built"}
    return {"name": name, "kind": kind, "built": False, **absent}
