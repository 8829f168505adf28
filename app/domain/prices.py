"""What model tokens cost: a table of prices by the names of models."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Dollars = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
"""US dollars for a million tokens."""
_NANO_PER_TOKEN = 1000
"""A dollar for a million tokens is a thousand nanodollars for one."""


class Price(BaseModel):
    """What the tokens of some models cost. ``model`` is a pattern with ``*`` and ``?``; the first that fits counts."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    model: str
    given: Dollars = Field(alias="in")
    out: Dollars
    cached: Dollars | None = None
    """Input read from the provider's cache; like other input when missing."""
    cache_write: Dollars | None = None
    """Input written into it; like other input when missing."""
    above: int | None = None
    """The price holds for requests with more input tokens than this only (a long prompt may cost more)."""

    def nanodollars(self, *, given: int, made: int, cached: int = 0, written: int = 0) -> int:
        """What one request cost. ``given`` are all input tokens, ``cached`` and ``written`` those of them."""
        read = self.given if self.cached is None else self.cached
        write = self.given if self.cache_write is None else self.cache_write
        plain = max(0, given - cached - written)
        parts = ((plain, self.given), (cached, read), (written, write), (made, self.out))
        return sum(tokens * round(price * _NANO_PER_TOKEN) for tokens, price in parts)


class PriceTable(BaseModel):
    """All prices, in the order in which they are tried."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    prices: tuple[Price, ...] = ()

    def cost(self, model: str, *, given: int, made: int, cached: int = 0, written: int = 0) -> int | None:
        """What one request to ``model`` cost, in nanodollars; None for a model that has no price here."""
        name = model.rpartition("/")[2].casefold()
        for price in self.prices:
            if fnmatchcase(name, price.model.casefold()) and (price.above is None or given > price.above):
                return price.nanodollars(given=given, made=made, cached=cached, written=written)
        return None
