"""When a template is another one, and that one is made by one builder alone. Without a machine."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.machines import SandboxRequest
from app.sandbox.domain_xml import DomainSpec, PackDisk
from app.sandbox.template import Template, TemplateStore, template_key
from tests.sandbox.test_domain_xml import SPEC

REQUEST = SandboxRequest("team.dev", "dev", "base", ("codex",), 2, 1024, 8, Path("/d/door"))


def key(spec: DomainSpec = SPEC, request: SandboxRequest = REQUEST, image: str = "i1", pack: str = "p1") -> str:
    return template_key(spec, request, image, [pack])


@pytest.mark.parametrize(
    "other",
    [
        key(replace(SPEC, machine="pc-q35-9.2")),
        key(replace(SPEC, memory_mib=2048)),
        key(replace(SPEC, cpus=1)),
        key(replace(SPEC, kernel=Path("/images/new/vmlinux"))),
        key(replace(SPEC, packs=[PackDisk("codex", Path("/images/pack-new/pack.img"))])),
        key(replace(SPEC, free_page_reporting=not SPEC.free_page_reporting)),
        key(request=replace(REQUEST, disk_gib=16)),
        key(image="i2"),
        key(pack="p2"),
    ],
)
def test_other_parts_make_another_template(other: str) -> None:
    assert other != key()


def test_whose_machine_it_is_makes_no_difference() -> None:
    other = replace(SPEC, name="other", disk=Path("/x"), control_socket=Path("/x"), console_log=Path("/x"))
    assert key(other, replace(REQUEST, name="team.other", hostname="other", door=Path("/x"))) == key()


def test_of_many_who_want_it_one_builds_and_the_others_wait(tmp_path: Path) -> None:
    built: list[Path] = []
    begun, told, templates = threading.Event(), list[str](), list[Template]()

    def build(work: Path) -> None:
        built.append(work)
        for name in ("ram", "state", "disk.qcow2"):
            (work / name).write_bytes(name.encode())
        begun.set()
        waiting.wait(30)

    def want() -> None:  # a store of its own, as another process has one
        templates.append(TemplateStore(tmp_path).ensure("0123456789ab", 1, build, hear))

    def hear(words: str) -> None:
        told.append(words)
        if sum("somebody else" in line for line in told) == 3:
            waiting.set()

    waiting = threading.Event()
    threads = [threading.Thread(target=want) for _ in range(4)]
    threads[0].start()
    assert begun.wait(30)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(built) == 1 and len(templates) == 4 and len(set(templates)) == 1
    assert [line for line in told if line.startswith("making")] == [
        "making the template that later machines start from (once)"
    ]
    templates[0].check()
