"""The tables of prices that are read: Skerry's own is whole, the user's comes first, a broken one harms nothing."""

from __future__ import annotations

import logging
import re

import pytest
import yaml

from app.config import Paths
from app.config.prices import load_prices


@pytest.mark.parametrize(
    ("model", "priced"),
    [
        ("gpt-5.1-codex", True),
        ("gpt-5-codex", True),
        ("claude-sonnet-4-5-20250929", True),
        ("claude-opus-4-1", True),
        ("claude-3-5-haiku-20241022", True),
        ("rehearsal", False),
        ("gpt-oss:20b", False),
        ("", False),
    ],
)
def test_known_models_have_a_price_and_others_none(paths: Paths, model: str, priced: bool) -> None:
    assert (load_prices(paths).cost(model, given=1000, made=1000) is not None) == priced


def test_newer_models_do_not_get_an_older_ones_price(paths: Paths) -> None:
    table = load_prices(paths)
    assert table.cost("claude-opus-4-5", given=10**6, made=0) == 5 * 10**9
    assert table.cost("claude-opus-4-20250514", given=10**6, made=0) == 15 * 10**9
    assert table.cost("gpt-5.1-codex-mini", given=1, made=1) is None, "no price of it is known"


def test_every_figure_has_a_comment_with_source_and_date_above_it(paths: Paths) -> None:
    text = (paths.share / "resources" / "prices.yaml").read_text()
    assert yaml.safe_load(text)["version"] == 1
    dated = False
    for line in text.splitlines():
        if line.lstrip().startswith("# ---"):
            dated = False
        dated = dated or bool(re.search(r"20\d\d-\d\d-\d\d", line) and "https://" in text)
        if line.lstrip().startswith("- {"):
            assert dated, line


def test_the_users_table_comes_first_and_a_broken_one_is_left_out(
    paths: Paths, caplog: pytest.LogCaptureFixture
) -> None:
    paths.config.mkdir(parents=True, exist_ok=True)
    own = paths.config / "prices.yaml"
    own.write_text('prices: [{model: "gpt-5.1*", in: 1, out: 1}]')
    assert load_prices(paths).cost("gpt-5.1", given=10**6, made=0) == 10**9
    own.write_text("prices: [{model: x, in: cheap, out: 1}]")
    with caplog.at_level(logging.WARNING):
        assert load_prices(paths).cost("gpt-5.1", given=10**6, made=0) == 125 * 10**7
    assert "are not used" in caplog.text
