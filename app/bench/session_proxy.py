"""OpenSSH's way to a machine: opens a session on its channel and hands the socket over, so that nothing pumps bytes.

Started by ssh (ProxyUseFdpass) as ``session_proxy.py SOCKET MARKER``, the marker in hexadecimal. It imports nothing of
Skerry: its start is part of what is measured.
"""

import os
import socket
import sys


def main(path: str, marker: bytes) -> None:
    """Connect, send the marker, wait until the guest has sent it back, pass the socket on standard output."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(path)
    connection.sendall(marker)
    seen = b""
    while seen != marker:
        data = connection.recv(len(marker) - len(seen))
        if not data:
            sys.exit("the machine closed its SSH channel")
        seen += data
        while not marker.startswith(seen):
            seen = seen[1:]
    with socket.socket(fileno=os.dup(1)) as ssh:
        socket.send_fds(ssh, [b"\0"], [connection.fileno()])


if __name__ == "__main__":
    main(sys.argv[1], bytes.fromhex(sys.argv[2]) + os.urandom(16))
