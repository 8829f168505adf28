"""``skerry image``: what machines boot from, and the tool packs they get."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from app.cli.listing import Column, Row, listing
from app.cli.output import console, emit_json, say, tell, width_of
from app.config import Paths
from app.domain.errors import ImageError

JsonOption = Annotated[bool, typer.Option("--json", help="The result for programs.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    image = typer.Typer(help="Images and tool packs of the machines.", no_args_is_help=True, rich_markup_mode=None)
    image.command("build")(build)
    image.command("list")(list_images)
    app.add_typer(image, name="image")


def build(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Default: base and codex.")] = None,
    paths_to: Annotated[
        Path | None, typer.Option(hidden=True, help="Write what was built here, one path a line.")
    ] = None,
) -> None:
    """Build images and tool packs that are missing. The first time takes minutes and needs the network."""
    paths = Paths.from_environment()
    paths.prepare()
    folders = [ensure(paths, name) for name in names or ("base", "codex")]
    for folder in folders:
        say(str(folder))
    if paths_to is not None:
        paths_to.write_text("".join(f"{folder}\n" for folder in folders))


def list_images(as_json: JsonOption = False) -> None:
    """List images and tool packs. Those that are not built yet are named too."""
    paths = Paths.from_environment()
    rows = [_row(paths, "image", name) for name in _names(paths.recipes, "recipe.toml")]
    rows += [_row(paths, "pack", name) for name in _names(paths.packs, "package.json")]
    if as_json:
        emit_json(rows)
        return
    out = console()
    listed = [Row((row["name"], row["kind"], row["built"]), Text(row["folder"])) for row in rows]
    fits = all(len(row["folder"]) <= (width_of(out) or 1000) - 30 for row in rows)
    columns = [Column(title) for title in ("NAME", "KIND", "BUILT")]
    for line in listing(columns, listed, width=width_of(out), title="FOLDER", below=not fits):
        out.print(line)


def ensure(paths: Paths, name: str) -> Path:
    """The folder of the image or pack called ``name``, built now if need be. Raises ImageError or HostError."""
    from app.sandbox.image import ImageBuilder
    from app.sandbox.packs import PackBuilder

    if name in _names(paths.recipes, "recipe.toml"):
        return ImageBuilder(paths.images, paths.recipes).ensure(name, tell).folder
    if name in _names(paths.packs, "package.json"):
        return PackBuilder(paths.images, paths.packs).ensure(name, tell).folder
    known = _names(paths.recipes, "recipe.toml") + _names(paths.packs, "package.json")
    raise ImageError(f"there is no image or pack {name!r}", operation="image build", hint="known: " + ", ".join(known))


def _names(folder: Path, recipe: str) -> list[str]:
    return sorted(file.parent.name for file in folder.glob(f"*/{recipe}"))


def _row(paths: Paths, kind: str, name: str) -> dict[str, str]:
    from app.sandbox.image import ImageBuilder
    from app.sandbox.packs import PackBuilder

    builder = ImageBuilder(paths.images, paths.recipes) if kind == "image" else PackBuilder(paths.images, paths.packs)
    built = builder.find(name)
    return {
        "name": name,
        "kind": kind,
        "built": "no" if built is None else "yes",
        "folder": "" if built is None else str(built.folder),
    }
