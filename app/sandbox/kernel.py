"""The uncompressed kernel out of a Debian vmlinuz: QEMU boots it directly, without firmware and decompressor."""

from __future__ import annotations

import struct
from pathlib import Path

from app.domain.errors import ImageError
from app.sandbox.host_tools import run_tool

_LZ4_LEGACY = b"\x02\x21\x4c\x18"


def payload(vmlinuz: bytes) -> bytes:
    """The compressed kernel inside a bzImage (boot protocol 2.08), without the length that ends it.

    Raises ImageError when this is no bzImage, or one that is not compressed with LZ4.
    """
    if vmlinuz[0x202:0x206] != b"HdrS":
        raise ImageError("the kernel is not a bzImage", operation="image")
    offset, length = struct.unpack_from("<II", vmlinuz, 0x248)
    start = (vmlinuz[0x1F1] + 1) * 512 + offset
    found = vmlinuz[start : start + length - 4]
    if not found.startswith(_LZ4_LEGACY):
        raise ImageError("the kernel is not compressed with LZ4", operation="image")
    return found


def unpack_kernel(vmlinuz: bytes, destination: Path) -> None:
    """Write the uncompressed ELF kernel. Raises ImageError or HostError."""
    compressed = destination.with_suffix(".lz4")
    compressed.write_bytes(payload(vmlinuz))
    run_tool(["lz4", "-d", "-f", "-q", str(compressed), str(destination)], operation="unpack kernel")
    compressed.unlink()
    with destination.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            raise ImageError("the unpacked kernel is not an ELF file", operation="unpack kernel")
