"""The error tree. Every error a user can meet is one of these, with a code, the operation that failed and a remedy."""

from __future__ import annotations

from typing import ClassVar


class SkerryError(Exception):
    """Base of all expected failures.

    ``code`` is stable and machine-readable, ``operation`` names what was being done, ``hint`` tells the reader
    the next step, ``retryable`` says whether the same call may succeed later without a person's help.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, operation: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.operation = operation
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(SkerryError):
    """The project's files cannot be used as they are; nothing was changed."""

    code = "config"


class HostError(SkerryError):
    """This machine lacks something: a package, a right, disk space, a port."""

    code = "host"


class ImageError(SkerryError):
    """A VM image or a tool pack is missing or could not be built."""

    code = "image"


class SandboxError(SkerryError):
    """A virtual machine or its channel failed; a later try may work."""

    code = "sandbox"
    retryable = True


class SandboxLost(SandboxError):
    """The virtual machine is gone; its disk may still be there."""

    code = "sandbox_lost"


class RuntimeFailure(SkerryError):
    """The agent program failed, or spoke a protocol we do not understand."""

    code = "runtime"
    retryable = True


class GatewayError(SkerryError):
    """The gateway could not serve a request."""

    code = "gateway"


class ProviderDown(GatewayError):
    """The model provider did not answer; the agent waits and goes on by itself."""

    code = "provider_down"
    retryable = True


class JournalError(SkerryError):
    """The journal refused a read or a write; what was acknowledged before is safe."""

    code = "journal"


class EngineError(SkerryError):
    """The engine could not be started, reached or stopped."""

    code = "engine"


class EngineRunning(EngineError):
    """Another engine of this user is at work already."""

    code = "engine_running"


class ActionRefused(SkerryError):
    """A tool call of an agent, or a request of the user, is not allowed; nothing happened."""

    code = "refused"


class NotFound(SkerryError):
    """What was named does not exist."""

    code = "not_found"


class AlreadyAnswered(SkerryError):
    """The interrupt has its answer; answers are given once."""

    code = "already_answered"


class MessageExpired(SkerryError):
    """Nobody read the message in time; nobody will."""

    code = "expired"


class ReplyPending(SkerryError):
    """The time for waiting is over; the message is where it was, and a reply comes all the same."""

    code = "timed_out"
    retryable = True


class AgentEnded(SkerryError):
    """The agent ended before it did what was waited for."""

    code = "agent_ended"
