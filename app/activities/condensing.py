"""A conversation that has become too long is summed up by its own model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from app.domain.loops import SUMMARISE, ContextOverflow, LoopItem, LoopOutcome, LoopReply, ModelAsk, Told
from app.domain.ports import Hear, LoopRuntime, Said

_SHORTER: Final = (4000, 800, 150)
"""Characters that are left of each result and prompt, try after try."""


async def condensed(runtime: LoopRuntime, ask: ModelAsk, hear: Hear) -> str:
    """The summary. Raises ContextOverflow when the conversation is too long even for that."""

    async def quietly(said: Said) -> None:
        await hear(Said(said.text, thought=True))

    for number, length in enumerate(_SHORTER, start=1):
        items = [*_shortened(ask.items, length, tail=number == len(_SHORTER)), Told(text=SUMMARISE)]
        try:
            reply = await runtime.ask(replace(ask, items=items, may_call=False), quietly)
        except ContextOverflow:
            if number == len(_SHORTER):
                raise
            continue
        return reply.text.strip() or "(The model gave no summary.)"
    raise AssertionError("unreachable")


def _shortened(items: Sequence[LoopItem], length: int, *, tail: bool) -> list[LoopItem]:
    """The conversation with its long texts cut; with ``tail``, its first prompt and its newest half alone."""
    kept = list(items)
    if tail and len(kept) > 4:
        begin = next((place for place in range(len(kept) // 2, len(kept)) if isinstance(kept[place], LoopReply)), 1)
        kept = [kept[0], *kept[begin:]]
    return [_cut(item, length) for item in kept]


def _cut(item: LoopItem, length: int) -> LoopItem:
    if isinstance(item, Told | LoopOutcome) and len(item.text) > length:
        half = length // 2
        left_out = len(item.text) - 2 * half
        text = f"{item.text[:half]}\n[… {left_out} characters left out …]\n{item.text[-half:]}"
        return item.model_copy(update={"text": text})
    return item
