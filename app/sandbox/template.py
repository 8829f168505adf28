"""Templates: a machine booted and warmed once, frozen, and from then on cloned.

A clone maps the template's RAM copy-on-write and its disk is an overlay on the template's, so it is there in a second
and pays only for what it changes. Nothing in a template's folder ever changes; what was built from other parts, or
for another size of machine, is another template.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from app.domain.errors import SandboxError
from app.domain.ports import Progress, SandboxRequest
from app.sandbox.domain_xml import DomainSpec, domain_xml
from app.sandbox.host_tools import require_space
from app.sandbox.image import build_folder
from app.sandbox.qemu import inspect_qemu

_VERSION = 1
_SPACE_NEEDED = 2**30
_PLACE = Path("/machine")
_KEPT = ("ram", "state", "disk.qcow2", "manifest.json")
WARM_UP = (
    "git --version; python3 -c 'import unittest, json, subprocess'; "
    'for warm in /opt/packs/*/warm; do if [ -x "$warm" ]; then timeout -k 5 120 "$warm"; fi; done'
)
"""What a template runs before it is frozen, so that clones find the programs in their page cache."""
WARM_UP_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Template:
    """A finished template."""

    folder: Path

    @property
    def ram(self) -> Path:
        """Sparse; QEMU opens it for writing even where it only reads."""
        return self.folder / "ram"

    @property
    def state(self) -> Path:
        """Processor and devices."""
        return self.folder / "state"

    @property
    def disk(self) -> Path:
        """qcow2 on the image; the backing of every clone's overlay."""
        return self.folder / "disk.qcow2"

    def check(self) -> None:
        """Raises SandboxError when the state or the RAM is not what was frozen; QEMU would not notice."""
        try:
            manifest = json.loads((self.folder / "manifest.json").read_text("utf-8"))
            found = {"state": _digest(self.state), "ram_bytes": self.ram.stat().st_size}
            fits = self.disk.exists() and all(manifest[name] == value for name, value in found.items())
        except (OSError, ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            raise SandboxError(f"the template {self.folder.name} is damaged", operation="restore the template")


def template_key(spec: DomainSpec, request: SandboxRequest, image_key: str, pack_keys: list[str]) -> str:
    """Twelve hex digits over all that the frozen state depends on; the machine's own name and paths do not count."""
    nobody = replace(
        spec,
        name="template",
        emulator=inspect_qemu().path,
        disk=_PLACE,
        control_socket=_PLACE,
        ssh_socket=_PLACE,
        console_log=_PLACE,
        serial_socket=_PLACE,
        transfer=_PLACE,
    )
    parts = [_VERSION, inspect_qemu().version, domain_xml(nobody), image_key, pack_keys, request.disk_gib, WARM_UP]
    if spec.accelerator == "kvm":
        parts.append(_processor())
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


class TemplateStore:
    """Finished templates below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where finished templates are."""
        return self._folder

    def ensure(self, key: str, memory_mib: int, build: Callable[[Path], None], progress: Progress) -> Template:
        """The template, built now by ``build`` in the folder it is given if need be; a second caller waits. Blocks."""
        template = Template(self._folder / f"template-{key}")
        if not template.folder.exists():
            with build_folder(self._folder, template.folder.name) as (work, final):
                if not final.exists():
                    require_space(self._folder, _SPACE_NEEDED + memory_mib * 2**20, "make the template")
                    progress("making the template that later machines start from (once)")
                    build(work)
                    _publish(Template(work), final)
        os.utime(template.folder)  # prune goes by it
        return template


def _publish(draft: Template, final: Path) -> None:
    """Only what clones need, durable, before it has its name."""
    manifest = {"state": _digest(draft.state), "ram_bytes": draft.ram.stat().st_size}
    (draft.folder / "manifest.json").write_text(json.dumps(manifest) + "\n", "utf-8")
    for path in draft.folder.iterdir():
        if path.name not in _KEPT:
            path.unlink()
            continue
        path.chmod(0o600 if path == draft.ram else 0o444)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    draft.folder.chmod(0o700)
    draft.folder.rename(final)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line
    return platform.processor()
