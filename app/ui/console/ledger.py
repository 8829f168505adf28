"""Which line of the document belongs to which entry, in which role: kept in the blocks' user state."""

from __future__ import annotations

from PySide6.QtGui import QTextBlock

from app.ui.console.entries import Entry, Role

_ROLES = tuple(Role)
_STRIDE = 8
_GAP = 7
_PRUNE_AT = 4000


class Ledger:
    """Numbers entries in the order they are written; forgets those whose lines fell off the top."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._numbers: dict[Entry, int] = {}
        self._next = 0

    def mark(self, block: QTextBlock, entry: Entry, role: Role | None) -> None:
        """Note whose line ``block`` is; no role makes it the gap above the entry."""
        number = self._numbers.get(entry)
        if number is None:
            number = self._numbers[entry] = self._next
            self._entries[number] = entry
            self._next += 1
        block.setUserState(number * _STRIDE + (_GAP if role is None else _ROLES.index(role)))

    def entry(self, block: QTextBlock) -> Entry | None:
        """The entry of a line; None for a gap."""
        state = block.userState()
        return None if state < 0 or state % _STRIDE == _GAP else self._entries.get(state // _STRIDE)

    def role(self, block: QTextBlock) -> Role | None:
        """The role of a line; None for a gap."""
        state = block.userState()
        return None if state < 0 or state % _STRIDE == _GAP else _ROLES[state % _STRIDE]

    def starts(self, block: QTextBlock) -> bool:
        """Whether ``block`` is the first line of its entry, or goes on with it after others."""
        entry = self.entry(block)
        return entry is not None and self.entry(block.previous()) is not entry

    def prune(self, first: QTextBlock) -> None:
        """Forget entries above ``first``, now and then."""
        if len(self._entries) < _PRUNE_AT or first.userState() < 0:
            return
        oldest = first.userState() // _STRIDE
        for number in [number for number in self._entries if number < oldest]:
            # An older call may still write below: its number is looked up by the entry then.
            del self._numbers[self._entries.pop(number)]
