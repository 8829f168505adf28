"""The tables of prices: Skerry's own, and the user's, which is tried first."""

from __future__ import annotations

import logging

from pydantic import ValidationError

from app.config.marks import parse
from app.config.paths import Paths
from app.domain.errors import ConfigError
from app.domain.prices import Price, PriceTable

log = logging.getLogger(__name__)


def load_prices(paths: Paths) -> PriceTable:
    """All prices. A table that cannot be read is left out with a warning: its models are counted in tokens only."""
    prices: list[Price] = []
    for file in (paths.config / "prices.yaml", paths.share / "resources" / "prices.yaml"):
        if not file.is_file():
            continue
        try:
            prices += PriceTable.model_validate(parse(file.read_bytes(), file).data).prices
        except (OSError, ConfigError, ValidationError) as error:
            log.warning("the prices in %s are not used: %s", file, error)
    return PriceTable(prices=tuple(prices))
