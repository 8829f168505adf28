"""A scripted model that behaves as bad providers do, as often as its scenario says: for tests of what comes then."""

from __future__ import annotations

from collections import Counter

from app.gateway.door import DoorSpec
from app.gateway.scenario import Trouble


class Misbehaviour:
    """Counts, for a gateway's life, how often each trouble of a scenario was made. Doors are opened anew each turn."""

    def __init__(self) -> None:
        self._made: Counter[tuple[str, str, int]] = Counter()
        self._under_way: dict[str, int] = {}

    def next(self, door: DoorSpec, troubles: tuple[Trouble, ...], step: str) -> Trouble | None:
        """The trouble to make instead of ``step``, or None when all of it was made."""
        for index, trouble in enumerate(troubles):
            if trouble.at == step and self._made[(door.key, door.run, index)] < trouble.times:
                self._made[(door.key, door.run, index)] += 1
                self._under_way[door.key] = index
                return trouble
        self._under_way.pop(door.key, None)
        return None

    def is_over(self, door: DoorSpec, troubles: tuple[Trouble, ...]) -> bool:
        """Whether the trouble that was made last is over. Asking counts as one of its times."""
        index = self._under_way.get(door.key)
        if index is None or index >= len(troubles):
            return True
        key = (door.key, door.run, index)
        if self._made[key] >= troubles[index].times:
            return True
        self._made[key] += 1
        return False
