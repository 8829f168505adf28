"""Loads libvirt when it is first needed: it may be missing, and it looks at the environment while it loads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from app.domain.errors import HostError

INSTALL = "apt install libvirt-daemon libvirt-daemon-driver-qemu qemu-system-x86"
_LOG_OUTPUTS = "LIBVIRT_LOG_OUTPUTS"


def load_libvirt(log: Path) -> Any:
    """The module ``libvirt``, its warnings going to a file. Raises HostError when it cannot be loaded."""
    os.environ.setdefault(_LOG_OUTPUTS, f"3:file:{log}")
    try:
        import libvirt
    except ImportError as error:
        raise HostError(f"libvirt cannot be loaded: {error}", operation="hypervisor", hint=INSTALL) from error
    finally:
        os.environ.pop(_LOG_OUTPUTS, None)
    return libvirt
