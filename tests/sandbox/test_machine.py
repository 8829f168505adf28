"""One real machine: what Sandbox and SandboxHost promise."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path

import pytest

from app.domain.errors import SandboxError, SandboxLost
from app.sandbox.machine import Machine
from tests.sandbox.conftest import Bench, request_for

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]


async def text(bench: Bench, command: str, *, root: bool = False) -> str:
    result = await bench.sandbox.run(command, timeout=60, user="root" if root else "agent")
    return result.output.decode()


async def test_the_machine_is_what_was_asked_for(bench: Bench) -> None:
    assert bench.sandbox.note == "restored from the template"
    assert await text(bench, "id -un; pwd; hostname; echo $HOME; sudo -n id -u") == (
        "agent\n/workspace\nbench-host\n/home/agent\n0\n"
    )
    assert int(await text(bench, "df --output=size -BM / | tail -1 | tr -d 'M '")) > 3500
    assert await text(bench, "id -u", root=True) == "0\n"


async def test_the_clock_is_the_hosts(bench: Bench) -> None:
    assert abs(float(await text(bench, "date +%s.%N")) - time.time()) < 3


async def test_output_comes_as_it_is_made_with_its_stream_and_the_status(bench: Bench) -> None:
    heard: list[tuple[str, bytes, float]] = []
    result = await bench.sandbox.run(
        "echo one; sleep 1; echo two >&2; exit 7",
        timeout=60,
        on_output=lambda stream, data: heard.append((stream, data, time.monotonic())),
    )
    assert [(stream, data) for stream, data, _ in heard] == [("stdout", b"one\n"), ("stderr", b"two\n")]
    assert heard[1][2] - heard[0][2] > 0.5
    assert (result.exit_status, result.output, result.dropped, result.timed_out) == (7, b"one\ntwo\n", 0, False)


async def test_a_signal_shows_as_the_shell_would_show_it(bench: Bench) -> None:
    assert (await bench.sandbox.run("kill -SEGV $$", timeout=60)).exit_status == 139


async def test_a_time_out_kills_the_whole_group(bench: Bench) -> None:
    result = await bench.sandbox.run("(trap '' TERM; exec -a stubborn sleep 300) & setsid sleep 300; true", timeout=2)
    assert result.timed_out and result.exit_status is None and result.seconds < 30
    assert await text(bench, "pgrep -x 'sleep|stubborn' -r S,R,D") == ""


async def test_a_cancelled_command_is_killed(bench: Bench) -> None:
    task = asyncio.create_task(bench.sandbox.run("sleep 301", timeout=300))
    await asyncio.sleep(1.5)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    deadline = time.monotonic() + 20
    while await text(bench, "pgrep -f '[s]leep 301'"):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.3)


async def test_output_beyond_the_limit_is_counted(bench: Bench) -> None:
    result = await bench.sandbox.run("head -c 500000 /dev/zero", timeout=60, output_limit=1000)
    assert (len(result.output), result.dropped, result.exit_status) == (1000, 499_000, 0)


async def test_a_program_left_in_the_background_does_not_hold_the_command(bench: Bench) -> None:
    result = await bench.sandbox.run("sleep 302 & echo started", timeout=60)
    assert result.exit_status == 0 and result.seconds < 20
    assert await text(bench, "pkill -f '[s]leep 302' && echo ran") == "ran\n"


async def test_long_commands_and_odd_words_arrive_whole(bench: Bench) -> None:
    odd = "a'b\"c $HOME `x` \\ \u00fc\u2603\ttab"
    result = await bench.sandbox.run('printf %s "$ODD"', timeout=60, env={"ODD": odd})
    assert result.output.decode() == odd
    result = await bench.sandbox.run("echo " + "x" * 300_000 + " | wc -c", timeout=60)
    assert result.output == b"300001\n"
    assert await text(bench, "@nonsense") != ""
    with pytest.raises(SandboxError):
        await bench.sandbox.run("true", timeout=60, env={"a b": "c"})


async def test_a_folder_that_is_not_there_says_so(bench: Bench) -> None:
    result = await bench.sandbox.run("true", timeout=60, cwd="/nowhere")
    assert result.exit_status == 125 and b"/nowhere" in result.output


async def test_many_commands_at_once(bench: Bench) -> None:
    results = await asyncio.gather(*[bench.sandbox.run(f"echo {n}", timeout=60) for n in range(12)])
    assert [result.output for result in results] == [f"{n}\n".encode() for n in range(12)]


async def test_a_program_with_open_streams(bench: Bench) -> None:
    errors = bytearray()
    process = await bench.sandbox.open_process(
        "echo $GREETING >&2; exec cat", env={"GREETING": "hi"}, on_stderr=errors.extend
    )
    line = b"x" * 3_000_000 + b"\n"
    process.stdin.write(line)
    assert await process.stdout.readline() == line
    process.stdin.write_eof()
    assert await process.stdout.read() == b"" and await process.wait() == 0
    assert errors == b"hi\n"
    await process.terminate()


async def test_terminate_ends_the_group_and_may_be_repeated(bench: Bench) -> None:
    process = await bench.sandbox.open_process("sleep 303 & trap '' TERM; while true; do sleep 1; done")
    await asyncio.sleep(1)
    await asyncio.gather(process.terminate(), process.terminate())
    assert await process.stdout.read() == b""
    await asyncio.wait_for(process.wait(), 10)
    assert await text(bench, "pgrep -f '[s]leep 303'") == ""


async def test_files_go_in_and_out(bench: Bench) -> None:
    data = os.urandom(700_000)
    await bench.sandbox.write_file("/workspace/deep/er/data", data, mode=0o600)
    assert await bench.sandbox.read_file("/workspace/deep/er/data") == data
    assert await text(bench, "stat -c '%a %U' deep/er/data") == "600 agent\n"
    await bench.sandbox.write_file("/etc/skerry-test", b"", user="root")
    assert await bench.sandbox.read_file("/etc/skerry-test") == b""
    with pytest.raises(SandboxError, match="longer than"):
        await bench.sandbox.read_file("/workspace/deep/er/data", limit=1000)
    with pytest.raises(SandboxError, match="No such file"):
        await bench.sandbox.read_file("/nowhere")


async def test_the_door_is_reached_and_nothing_else(bench: Bench) -> None:
    seen = bytearray()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.extend(await reader.readline())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    door = request_for(bench.root, "bench").door
    async with await asyncio.start_unix_server(answer, door):
        fetch = "curl -sS -m 20 http://127.0.0.1:8080/"
        assert await text(bench, " & ".join([f"{fetch}{n}" for n in range(6)]) + "; wait") == "ok" * 6
        assert seen.count(b"GET") == 6
    assert "Failed to connect" not in await text(bench, f"{fetch} 2>&1")  # nobody listens: closed, not refused
    assert (await text(bench, "ls /sys/class/net")).split() == ["lo"]
    for place in ("http://10.0.2.2/", "http://192.0.2.1/", "http://127.0.0.1:8081/"):
        assert (await bench.sandbox.run(f"curl -s -m 5 {place}", timeout=30)).exit_status == 7


async def test_the_door_carries_both_ways_after_one_half_is_closed(bench: Bench) -> None:
    async def echo_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    async with await asyncio.start_unix_server(echo_at_the_end, request_for(bench.root, "bench").door, limit=2**24):
        script = (
            "import hashlib,socket;s=socket.create_connection(('127.0.0.1',8080));d=bytes(range(256))*8000;"
            "s.sendall(d);s.shutdown(1);r=b''.join(iter(lambda:s.recv(65536),b''));print(r==d)"
        )
        assert await text(bench, f'python3 -c "{script}"') == "True\n"


async def test_quiesce_waits_for_commands_and_not_for_what_was_left_behind(bench: Bench) -> None:
    assert await bench.sandbox.quiesce(10)
    command = asyncio.create_task(bench.sandbox.run("sleep 4", timeout=60))
    await asyncio.sleep(1)
    assert not await bench.sandbox.quiesce(1)
    assert await bench.sandbox.quiesce(30)
    assert (await command).exit_status == 0
    await bench.sandbox.run("sleep 304 > /dev/null 2>&1 &", timeout=60)
    assert await bench.sandbox.quiesce(10)
    await bench.sandbox.run("pkill -f '[s]leep 304'", timeout=60)


async def test_a_broken_transport_is_made_again(bench: Bench) -> None:
    process = await bench.sandbox.open_process("exec sleep 305")
    with pytest.raises(SandboxError, match="closed"):
        await text(bench, "pkill sshd; sleep 20", root=True)
    assert await asyncio.wait_for(process.wait(), 20) is None
    await process.terminate()
    assert await text(bench, "echo back") == "back\n"
    assert await text(bench, "pgrep -f '[s]leep 305'") == "", "what the old session started has ended"


async def test_the_machine_tells_how_it_is(bench: Bench) -> None:
    stats = await bench.sandbox.stats()  # type: ignore[attr-defined]
    assert 400 * 2**20 < stats["memory_total"] < 513 * 2**20


async def test_a_machine_that_is_shot_is_lost_and_starts_again_on_its_disk(bench: Bench) -> None:
    notes: list[str] = []
    request = request_for(bench.root, "shot")
    sandbox = await bench.host.ensure(request, notes.append)
    await sandbox.run("echo kept > file; sync", timeout=60)
    os.kill(int((bench.root / "v" / "run" / "qemu" / "shot.pid").read_text()), 9)
    with pytest.raises(SandboxLost):
        for _ in range(20):
            await sandbox.run("true", timeout=20)
            await asyncio.sleep(0.2)
    sandbox = await bench.host.ensure(request, notes.append)
    assert sandbox.note == "started again on its own disk: it had been lost (its process was gone)"
    assert (await sandbox.run("cat file", timeout=60)).output == b"kept\n"
    await bench.host.stop("shot")
    assert "shot" not in await bench.host.names() and (bench.root / "m" / "shot" / "disk.qcow2").exists()
    await bench.host.destroy("shot")
    await bench.host.destroy("shot")
    assert left_of(bench.root, "shot") == []


def left_of(root: Path, name: str) -> list[Path]:
    machine = Machine(name, root / "m" / name, root / "s")
    return [path for path in (machine.folder, *machine.all_sockets) if path.exists()]


async def test_a_disk_that_is_too_small_is_refused(bench: Bench) -> None:
    from dataclasses import replace

    with pytest.raises(SandboxError, match="too small"):
        await bench.host.ensure(replace(request_for(bench.root, "tiny"), disk_gib=1), lambda _: None)
    await bench.host.destroy("tiny")


async def test_names_that_are_paths_are_refused(bench: Bench) -> None:
    with pytest.raises(SandboxError, match="no name"):
        await bench.host.destroy("../m")


async def test_a_guest_that_hangs_up_in_the_middle_harms_nobody(bench: Bench) -> None:
    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        with contextlib.suppress(OSError):
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        writer.close()

    process = await bench.sandbox.open_process("exec cat")
    hang_up = "curl -s -m 20 http://127.0.0.1:8080/ --http0.9 | head -c 100000 | wc -c"
    async with await asyncio.start_unix_server(stream, request_for(bench.root, "bench").door):
        for _ in range(5):
            assert await text(bench, f"{hang_up} & {hang_up} & wait") == "100000\n" * 2
    process.stdin.write(b"still here\n")
    assert await process.stdout.readline() == b"still here\n", "the session never broke"
    await process.terminate()
