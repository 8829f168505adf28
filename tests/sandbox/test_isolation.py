"""No way out, seen from inside: what root of one machine can reach, beside a second machine on the same host."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.domain.ports import Sandbox
from tests.sandbox.conftest import Pair

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]
OUTSIDE = ("192.0.2.1", "198.51.100.1", "10.0.2.2", "169.254.169.254", "2001:db8::1", "::1")
_KNOCK = """
import json, socket, sys
found = {}
for host, port in json.load(sys.stdin):
    try:
        with socket.create_connection((host, port), 3):
            found[f"{host} {port}"] = "open"
    except OSError as error:
        found[f"{host} {port}"] = type(error).__name__
print(json.dumps(found))
"""


async def told(sandbox: Sandbox, command: str) -> str:
    result = await sandbox.run(command, timeout=60, user="root")
    return result.output.decode(errors="replace")


async def knock(sandbox: Sandbox, places: list[tuple[str, int]]) -> dict[str, str]:
    """How each place answers a connection from inside the machine."""
    await sandbox.write_file("/run/knock.py", _KNOCK.encode(), user="root")
    answer = await told(sandbox, f"python3 /run/knock.py <<'END'\n{json.dumps(places)}\nEND")
    found: dict[str, str] = json.loads(answer)
    return found


def addresses_of_this_host() -> set[str]:
    with contextlib.suppress(OSError):
        return {str(found[4][0]) for found in socket.getaddrinfo(socket.gethostname(), None)} - {"127.0.0.1", "::1"}
    return set()


@pytest.fixture
def listeners() -> Iterator[list[tuple[int, list[str]]]]:
    """Two ports of this host's loopback, each with the addresses of who came."""
    opened: list[socket.socket] = []
    found: list[tuple[int, list[str]]] = []
    for _ in range(2):
        listener = socket.create_server(("127.0.0.1", 0))
        visitors: list[str] = []
        opened.append(listener)
        found.append((listener.getsockname()[1], visitors))

        def accept(listener: socket.socket = listener, visitors: list[str] = visitors) -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, address = listener.accept()
                    visitors.append(str(address))
                    connection.close()

        threading.Thread(target=accept, daemon=True).start()
    yield found
    for listener in opened:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


async def test_there_is_no_network_but_the_machines_own_loopback(pair: Pair) -> None:
    for sandbox in (pair.one, pair.two):
        assert (await told(sandbox, "ls /sys/class/net; ls /proc/sys/net/ipv6 2>&1 | grep -c conf")) == "lo\n0\n"
        assert (await told(sandbox, "ip route show table all type unicast")) == ""
        assert "Cannot find device" in await told(sandbox, "ip link set eth0 up 2>&1")


async def test_neither_host_nor_neighbour_nor_the_world_can_be_reached(
    pair: Pair, listeners: list[tuple[int, list[str]]]
) -> None:
    places = [("127.0.0.1", port) for port, _ in listeners]
    places += [(address, port) for address in addresses_of_this_host() for port, _ in listeners]
    places += [(address, port) for address in OUTSIDE for port in (22, 53, 80, 8080)]
    found = await knock(pair.one, places)
    assert len(found) == len(places) and "open" not in found.values(), found
    assert [visitors for _, visitors in listeners] == [[], []]


async def test_names_are_not_resolved_and_that_takes_no_time(pair: Pair) -> None:
    script = "import socket\ntry: print(socket.getaddrinfo('example.org', 80))\nexcept OSError as e: print('no')"
    result = await pair.one.run(f'python3 -c "{script}"', timeout=60)
    assert result.output == b"no\n" and result.seconds < 10


@pytest.fixture
async def doors(pair: Pair) -> AsyncIterator[None]:
    """Each machine's door says whose it is."""

    def answer(name: str) -> object:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            body = f"door of {name}\n"
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            await writer.drain()
            writer.close()

        return serve

    async with contextlib.AsyncExitStack() as stack:
        for name in ("one", "two"):
            server = await asyncio.start_unix_server(answer(name), pair.door(name))  # type: ignore[arg-type]
            await stack.enter_async_context(server)
        yield


@pytest.mark.usefixtures("doors")
async def test_the_channel_leads_to_the_machines_own_door_and_to_nothing_else(pair: Pair) -> None:
    ask = "curl -s -m 20 http://127.0.0.1:8080/ -H 'Host: two' -H 'X-Agent: two'"
    answers = await asyncio.gather(*[told(sandbox, ask) for sandbox in (pair.one, pair.two)])
    assert answers == ["door of one\n", "door of two\n"]
    listening = await told(pair.one, "ss -Hltun | awk '{print $1, $5}'")
    assert listening == "tcp 127.0.0.1:8080\n"


@pytest.mark.usefixtures("doors")
async def test_a_crowd_at_the_door_takes_few_threads_and_goes_away(pair: Pair) -> None:
    crowd = "import socket, time\nheld = [socket.create_connection(('127.0.0.1', 8080), 20) for _ in range(150)]\n"
    before, most = threading.active_count(), 0
    coming = asyncio.ensure_future(told(pair.one, f'python3 -c "{crowd}time.sleep(2)"'))
    while not coming.done():
        most = max(most, threading.active_count())
        await asyncio.sleep(0.05)
    assert await coming == "" and 20 < most - before < 150
    assert await told(pair.one, "curl -s -m 20 http://127.0.0.1:8080/") == "door of one\n"


async def test_the_hosts_ssh_session_lets_nothing_else_through(pair: Pair) -> None:
    settings = await told(pair.one, "/usr/sbin/sshd -T -f /usr/lib/skerry/sshd_config")
    for line in (
        "allowtcpforwarding remote",
        "permitlisten 127.0.0.1:8080",
        "allowstreamlocalforwarding no",
        "allowagentforwarding no",
        "permittunnel no",
        "gatewayports no",
        "x11forwarding no",
        "passwordauthentication no",
    ):
        assert line in settings, line


async def test_devices_are_what_the_machine_was_given(pair: Pair) -> None:
    ports = await told(pair.one, "cat /sys/class/virtio-ports/*/name | sort")
    assert ports == "skerry.ctl\nskerry.ssh\n"
    disks = await told(pair.one, "for d in /sys/block/*; do echo ${d##*/} $(cat $d/serial $d/ro 2>&1); done | grep ^vd")
    assert sorted(disks.splitlines()) == ["vda root0", "vdb transfer0"]
    assert (
        await told(pair.one, "ls /dev/vport* | wc -l; ls -d /dev/sd* /dev/sr* /dev/nvme* /dev/fd0 2>/dev/null") == "2\n"
    )
    kinds = await told(pair.one, "cat /sys/bus/virtio/devices/*/device | sort | uniq -c | awk '{print $1, $2}'")
    # two disks, the two channels' controller, entropy, balloon
    assert kinds == "2 0x0002\n1 0x0003\n1 0x0004\n1 0x0005\n"


async def test_the_disk_of_another_machine_cannot_be_found(pair: Pair) -> None:
    mark = f"mark-of-two-{pair.secret}"
    await pair.two.write_file("/workspace/mark", mark.encode())
    await told(pair.two, "sync")
    # never written as one word in machine one, so that its own memory and command lines do not hold it
    begin, end = mark[:9], mark[9:]
    search = f'dd if=/dev/vdb bs=1M count=64 2>/dev/null | tr "\\0" "\\n" | grep -c -a "$(printf %s%s {begin} {end})"'
    assert await told(pair.one, search) == "0\n"
    disks = pair.bench.root / "m"
    assert mark.encode() not in await read_all(disks / "one" / "disk.qcow2")
    assert mark.encode() in await read_all(disks / "two" / "disk.qcow2")


async def read_all(path: Path) -> bytes:
    return await asyncio.to_thread(path.read_bytes)


async def test_hostile_words_on_the_control_port_harm_nobody(pair: Pair) -> None:
    """What root of a machine writes to the control port comes to us as the guest agent's own words would."""
    before = resident()
    hostile = """
import json, os, glob
port = next(p for p in glob.glob('/sys/class/virtio-ports/*') if open(p + '/name').read().strip() == 'skerry.ctl')
import fcntl
pid = next(p for p in os.listdir('/proc') if p.isdigit() and b'guestd' in open('/proc/' + p + '/cmdline', 'rb').read())
node = '/dev/' + port.split('/')[-1]
found = [l for l in os.listdir(f'/proc/{pid}/fd') if os.readlink(f'/proc/{pid}/fd/{l}') == node]
handle = os.pidfd_open(int(pid))
import ctypes
port = ctypes.CDLL(None).syscall(438, handle, int(found[0]), 0)
os.set_blocking(port, True)
def say(data):
    while data:
        data = data[os.write(port, data):]
say(b'{' * 3_000_000 + b'\\n')
say(b'[' * 900_000 + b'\\n')
say(b'\\xff\\x00\\n' * 1000)
say(b'{"id": 1' + b'0' * 100_000 + b'}\\n')
for n in range(300):
    say(json.dumps({'event': 'limit', 'limit': 'cpu', 'detail': 'x' * 5000}).encode() + b'\\n')
    say(json.dumps({'event': 'limit', 'limit': [n], 'detail': {}}).encode() + b'\\n')
    say(json.dumps({'id': '%016x' % n, 'ok': True}).encode() + b'\\n')
print('said')
"""
    await pair.one.write_file("/run/hostile.py", hostile.encode(), user="root")
    heard = len(pair.notices["one"])
    assert await told(pair.one, "python3 /run/hostile.py") == "said\n"
    assert (await pair.two.run("echo fine", timeout=30)).output == b"fine\n"
    assert await pair.one.quiesce(0.1) in (True, False), "its own answers still come through"
    assert resident() - before < 64 * 2**20
    news = pair.notices["one"][heard:]
    assert 1 <= len(news) <= 8 and all(len(notice.detail) <= 300 for notice in news)
    assert not pair.notices["two"]


def resident() -> int:
    """Bytes of memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
