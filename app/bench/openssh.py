"""The OpenSSH client on a machine's SSH channel, its connection kept open by a master process. Everything blocks."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from app.domain.errors import HostError, SandboxError
from app.sandbox.channel import MAGIC
from app.sandbox.host_tools import find_tool
from app.sandbox.jobs import Job, job_line
from app.sandbox.machine import Machine

_PROXY = Path(__file__).with_name("session_proxy.py")
_SECONDS = 300.0
# Those of our own channel. What OpenSSH would choose, a post-quantum key exchange, is half a second of emulated
# arithmetic, and would flatter us.
_ALGORITHMS = {"KexAlgorithms": "curve25519-sha256", "Ciphers": "aes128-ctr", "MACs": "hmac-sha2-256"}


def require_openssh() -> None:
    """Raises HostError when there is no client."""
    try:
        find_tool("ssh")
    except HostError as error:
        hint = "apt install openssh-client"
        raise HostError("the OpenSSH client is not installed", operation="bench", hint=hint) from error


class OpenSsh:
    """Runs jobs in ``machine``; the first one connects."""

    def __init__(self, machine: Machine) -> None:
        known_hosts = machine.folder / "known_hosts"
        known_hosts.write_text(f"machine {machine.keys().host_public_line}\n", "utf-8")
        proxy = f"'{sys.executable}' -I -S '{_PROXY}' '{machine.ssh_socket}' {MAGIC.hex()}"
        options = {
            **_ALGORITHMS,
            "BatchMode": "yes",
            "ControlMaster": "auto",
            "ControlPath": str(machine.ssh_socket.with_suffix(".p")),
            "ControlPersist": "yes",
            "HostKeyAlias": "machine",
            "IdentitiesOnly": "yes",
            "IdentityFile": str(machine.folder / "client_key"),
            "LogLevel": "ERROR",
            "ProxyCommand": proxy,
            "ProxyUseFdpass": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(known_hosts),
        }
        self._errors = machine.folder / "ssh.log"
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        self._command = [find_tool("ssh"), "-F", "none", *words, "host@machine"]

    def run(self, job: Job) -> None:
        """To its end. Raises SandboxError when that is not status 0."""
        with self._errors.open("ab") as errors:
            ended = subprocess.run(
                self._argv(job),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                timeout=_SECONDS,
                check=False,
                start_new_session=True,
            )
        self._check(ended.returncode)

    def pipe_in(self, source: Sequence[str], job: Job) -> None:
        """What a program of this host writes, into the job."""
        self._pipe(source, self._argv(job))

    def pipe_out(self, job: Job, sink: Sequence[str]) -> None:
        """What the job writes, into a program of this host."""
        self._pipe(self._argv(job), sink)

    def _pipe(self, source: Sequence[str], sink: Sequence[str]) -> None:
        with (
            self._errors.open("ab") as errors,
            subprocess.Popen(
                source, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
            ) as first,
            subprocess.Popen(
                sink, stdin=first.stdout, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True
            ) as second,
        ):
            assert first.stdout is not None
            first.stdout.close()  # the second has it: when that ends, the first shall notice
            statuses = [process.wait(_SECONDS) for process in (first, second)]
        for status in statuses:
            self._check(status)

    def _argv(self, job: Job) -> list[str]:
        name = f"{job.kind}-{secrets.token_hex(6)}"
        return [*self._command, job_line(name, job, job.command).decode("utf-8", "surrogateescape")]

    def _check(self, status: int) -> None:
        if status != 0:
            words = self._errors.read_text("utf-8", "replace").strip()[-500:]
            raise SandboxError(f"OpenSSH ended with status {status}: {words}", operation="bench")
