"""The host's own package sources, as far as they are Debian's: an image is built from where the host updates itself."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

_APT = Path("/etc/apt")


def debian_sources(suite: str, apt: Path = _APT) -> tuple[str, str]:
    """(one-line sources, deb822 sources) of the host that serve ``suite``; both empty when there are none."""
    suites = {suite, f"{suite}-updates", f"{suite}-security"}
    lists = [apt / "sources.list", *sorted(apt.glob("sources.list.d/*.list"))]
    lines = [line for path in lists if path.is_file() for line in path.read_text("utf-8").splitlines()]
    stanzas = [
        stanza
        for path in sorted(apt.glob("sources.list.d/*.sources"))
        for stanza in re.split(r"\n[ \t]*\n", path.read_text("utf-8"))
    ]
    kept_lines = [line for line in lines if _line_serves(line, suites)]
    kept_stanzas = [_without_comments(stanza) for stanza in stanzas if _stanza_serves(stanza, suites)]
    return "".join(f"{line}\n" for line in kept_lines), "\n".join(kept_stanzas)


def acquire_options() -> list[str]:
    """How the host's apt reaches its sources (proxies, certificates), in apt's own words."""
    try:
        dump = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [line for line in dump.splitlines() if re.match(r'Acquire::https?(::\S+)? "[^"]+";$', line)]


def _line_serves(line: str, suites: set[str]) -> bool:
    found = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)", line.strip())
    return bool(found and found[2] in suites and "main" in found[3].split() and _is_debian(found[1], line))


def _stanza_serves(stanza: str, suites: set[str]) -> bool:
    fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", _without_comments(stanza), flags=re.MULTILINE))
    enabled = fields.get("Enabled", "yes").strip() != "no" and "deb" in fields.get("Types", "").split()
    main = "main" in fields.get("Components", "").split()
    right = bool(set(fields.get("Suites", "").split()) & suites)
    return enabled and main and right and _is_debian(fields.get("URIs", ""), stanza)


def _is_debian(uris: str, entry: str) -> bool:
    """Third parties name their suites like Debian's; only Debian's archive has its path or its key ring."""
    paths = [re.sub(r"^[a-z+]+:/*[^/]*", "", uri).rstrip("/") for uri in uris.split()]
    return "debian-archive" in entry or all(re.search(r"/debian(-security)?$", path) for path in paths)


def _without_comments(stanza: str) -> str:
    return "".join(f"{line}\n" for line in stanza.splitlines() if line and not line.startswith("#"))
