"""``skerry setup-check``: the last step of ./skerry's set-up. Hidden; ``skerry doctor`` is for people."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import typer

from app.cli.output import say
from app.config import Paths
from app.domain.errors import HostError

_LIBRARIES = {"libvirt": "libvirt0", "PySide6.QtWidgets": "libegl1 libxkbcommon-x11-0 libdbus-1-3"}


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("setup-check", hidden=True)(setup_check)


def setup_check() -> None:
    """See that the parts come together on this machine; say how machines will run."""
    Paths.from_environment().prepare()
    problems = list(_problems())
    if problems:
        what = "; ".join(text for text, _ in problems)
        raise HostError(what, operation="set-up", hint="; ".join(dict.fromkeys(hint for _, hint in problems)))
    say(_machines())


def _problems() -> Iterator[tuple[str, str]]:
    from app.sandbox.host_tools import missing_tools

    for tool, package in missing_tools().items():
        yield f"the program {tool} is not installed", f"apt-get install {package}"
    for module, packages in _LIBRARIES.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            yield f"{module} cannot be loaded: {error}", f"apt-get install {packages}"


def _machines() -> str:
    from app.sandbox.qemu import inspect_qemu

    qemu = inspect_qemu()
    if qemu.accelerator == "kvm":
        return f"machines run on QEMU {qemu.version} with KVM"
    return f"machines run on QEMU {qemu.version} in software emulation: this host offers no KVM; agents will be slower"
