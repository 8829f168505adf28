"""The end of input on an SSH channel, sent so that it cannot go astray."""

from __future__ import annotations

import paramiko


def end_input(channel: paramiko.Channel) -> None:
    """Tell the other side that no more bytes come. Safe to repeat, and on a closed channel.

    paramiko's own ``shutdown_write`` may send its message after the channel was closed in another thread; the server
    then takes it for a message to the next channel of that number, and closes that one or the whole session.
    """
    with channel.lock:
        message = None if channel.closed else channel._send_eof()
        if message is not None:
            channel.transport._send_user_message(message)
