"""Templates: a machine booted and warmed once, frozen, and from then on cloned.

A clone maps the template's RAM copy-on-write and its disk is an overlay on the template's, so it is there in a second
and pays only for what it changes. Nothing in a template's folder ever changes; what was built from other parts, or
for another size of machine, is another template.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from app.domain.errors import SandboxError
from app.domain.machines import SandboxRequest
from app.domain.ports import Progress
from app.sandbox.domain_xml import DomainSpec, domain_xml
from app.sandbox.host_tools import require_space
from app.sandbox.image import build_folder
from app.sandbox.qemu import inspect_qemu

_VERSION = 2
_SPACE_NEEDED = 2**30
_PLACE = Path("/machine")
_SET_ASIDE = "set-aside"
_GENERATIONS = 100
_CHANCES = 2
_MANIFEST = "manifest.json"
_KEPT = ("ram", "state", "disk.qcow2", _MANIFEST)
log = logging.getLogger(__name__)
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

    @property
    def set_aside(self) -> bool:
        """Whether no machine may start from it any more; those that stand on its disk still need that."""
        return (self.folder / _SET_ASIDE).exists()

    def put_aside(self) -> None:
        """From now on another is made in its place."""
        (self.folder / _SET_ASIDE).touch()

    def check(self) -> None:
        """Raises SandboxError when it is not what was frozen; QEMU would not notice.

        RAM and disk are too large to be read each time: anybody who writes to them changes their times.
        """
        try:
            manifest = json.loads((self.folder / _MANIFEST).read_text("utf-8"))
            fits = manifest == _manifest(self) and not self.set_aside
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
    """Finished templates below ``folder``. One that is damaged, or failed twice, is put aside and made again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._failures: dict[Path, int] = {}

    @property
    def folder(self) -> Path:
        """Where finished templates are."""
        return self._folder

    def ensure(self, key: str, memory_mib: int, build: Callable[[Path], None], progress: Progress) -> Template:
        """The template, built now by ``build`` in the folder it is given if need be; a second caller waits. Blocks.

        Raises what ``build`` raises, or SandboxError when a new one is damaged.
        """
        template = self._newest(key)
        if template.folder.exists():
            try:
                template.check()
                return template
            except SandboxError as error:
                self._put_aside(template, error.message, progress)
                template = self._newest(key)
        self._tell_whether_waiting(template.folder.name, progress)
        with build_folder(self._folder, template.folder.name) as (work, final):
            if not final.exists():
                require_space(self._folder, _SPACE_NEEDED + memory_mib * 2**20, "make the template")
                progress("making the template that later machines start from (once)")
                build(work)
                _publish(Template(work), final)
        template.check()
        return template

    def failed(self, template: Template) -> None:
        """A machine could not be started from it."""
        self._failures[template.folder] = failures = self._failures.get(template.folder, 0) + 1
        if failures >= _CHANCES:
            self._put_aside(template, f"{template.folder.name} failed {failures} times", log.warning)

    def worked(self, template: Template) -> None:
        """A machine started from it."""
        self._failures.pop(template.folder, None)
        os.utime(template.folder)  # prune goes by it

    def _newest(self, key: str) -> Template:
        first = Template(self._folder / f"template-{key}")
        others = (Template(self._folder / f"template-{key}-{number}") for number in range(2, _GENERATIONS))
        return next((template for template in (first, *others) if not template.set_aside), first)

    def _put_aside(self, template: Template, why: str, progress: Progress) -> None:
        progress(f"{why}: it is put aside and made again")
        with contextlib.suppress(FileNotFoundError):
            template.put_aside()

    def _tell_whether_waiting(self, name: str, progress: Progress) -> None:
        if is_locked(self._folder / f".{name}.lock"):
            progress("waiting for the template, which somebody else is making")


def is_locked(path: Path) -> bool:
    """Whether somebody builds under this lock."""
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False


def _publish(draft: Template, final: Path) -> None:
    """Only what clones need, durable, before it has its name."""
    (draft.folder / _MANIFEST).write_text(json.dumps(_manifest(draft)) + "\n", "utf-8")
    for path in draft.folder.iterdir():
        if path.name not in _KEPT:
            path.unlink()
            continue
        path.chmod(0o600 if path == draft.ram else 0o444)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    draft.folder.chmod(0o700)
    draft.folder.rename(final)


def _manifest(template: Template) -> dict[str, object]:
    ram, disk = template.ram.stat(), template.disk.stat()
    return {
        "state": _digest(template.state),
        "ram": [ram.st_size, ram.st_mtime_ns],
        "disk": [disk.st_size, disk.st_mtime_ns],
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line
    return platform.processor()
