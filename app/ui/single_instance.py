"""One window for each user: a second launch raises the first and ends."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QLockFile, QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

_RAISE = b"raise\n"
_WAIT_MS = 1000


class SingleInstance(QObject):
    """Holds the lock as long as it lives; ``raise_wanted`` tells that a second launch knocked."""

    raise_wanted = Signal()

    def __init__(self, runtime: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._socket_name = str(runtime / "window.sock")
        self._lock = QLockFile(str(runtime / "window.lock"))
        # The lock names its process: one that was killed does not keep it.
        self._lock.setStaleLockTime(0)
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._knocked)

    def take(self) -> bool:
        """Become the one instance; False when there is one already."""
        if not self._lock.tryLock(0):
            return False
        QLocalServer.removeServer(self._socket_name)
        self._server.listen(self._socket_name)
        return True

    def raise_other(self) -> bool:
        """Ask the other instance to show its window; False when it does not listen."""
        socket = QLocalSocket()
        socket.connectToServer(self._socket_name)
        if not socket.waitForConnected(_WAIT_MS):
            return False
        socket.write(_RAISE)
        heard = socket.waitForBytesWritten(_WAIT_MS)
        socket.disconnectFromServer()
        return heard

    def release(self) -> None:
        """Let another launch be the one."""
        self._server.close()
        self._lock.unlock()

    def _knocked(self) -> None:
        connection = self._server.nextPendingConnection()
        if connection is not None:
            connection.disconnected.connect(connection.deleteLater)
            self.raise_wanted.emit()
