"""The settings of a language model: what is refused, and that the key is shown to nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_stage import runcast

from orchestrator.clock import SystemClock
from realtime.settings import Settings, SettingsError
from realtime.wiring.models import context_tokens_of, model_of

KEY = "sk-0123456789abcdef"
MODEL = {"llm_base_url": "http://127.0.0.1:11434/v1", "llm_model": "llama"}


def settings(**fields: Any) -> Settings:
    """Settings with these fields."""
    return Settings(**fields)


async def test_no_address_means_the_offline_model() -> None:
    """Without a model nothing is asked of anybody, and nothing limits what is read."""
    async with model_of(settings(), SystemClock()) as model:
        assert model.name == "offline"
    assert context_tokens_of(settings()) is None


async def test_address_and_name_mean_the_model_there() -> None:
    """With both, agents ask it, and read as much as it can take."""
    chosen = settings(**MODEL, llm_context_tokens=7000)
    async with model_of(chosen, SystemClock()) as model:
        assert model.name == "llama"
    assert context_tokens_of(chosen) == 7000


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"llm_base_url": MODEL["llm_base_url"]}, "llm_base_url is set and llm_model is not"),
        ({"llm_model": "llama"}, "llm_model is set and llm_base_url is not"),
        ({"llm_api_key": KEY}, "llm_api_key is set and llm_base_url is not"),
    ],
)
def test_half_of_a_model_refused(fields: dict[str, Any], said: str) -> None:
    """What would silently mean the offline model, or a model without a name, is told at start."""
    with pytest.raises(SettingsError, match=said) as refusal:
        settings(**fields)
    assert KEY not in str(refusal.value)


@pytest.mark.parametrize(
    "base_url",
    [
        "127.0.0.1:11434",
        "ftp://127.0.0.1/v1",
        "http://",
        "http:///v1",
        f"http://user:{KEY}@127.0.0.1/v1",
        f"http://127.0.0.1/v1?key={KEY}",
        f"http://127.0.0.1/v1#{KEY}",
        "http://127.0.0.1:0/v1",
        "http://127.0.0.1:99999/v1",
        "http://[::1/v1",
        "http://exämple/v1",
        "http://127.0.0.1/v1\nx",
    ],
)
def test_address_that_cannot_be_shown_or_used_refused(base_url: str) -> None:
    """An address appears in errors, so nothing secret may stand in it; the refusal does not repeat it."""
    with pytest.raises(SettingsError, match=r"^llm_base_url: ") as refusal:
        settings(**{**MODEL, "llm_base_url": base_url})
    assert KEY not in str(refusal.value)


@pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY}", f"{KEY}é", f"{KEY}\r\nX-More: 1"])
def test_key_that_no_header_can_carry_refused_unseen(key: str) -> None:
    """A key with a line break or a space is a mistake, or an attack; what it was is not repeated."""
    with pytest.raises(SettingsError, match=f"llm_api_key has .*{len(key)} characters") as refusal:
        settings(**MODEL, llm_api_key=key)
    assert KEY not in str(refusal.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"llm_price_per_mtok": -1.0}, "llm_price_per_mtok is -1.0; expected 0 or more"),
        ({"llm_price_per_mtok": float("inf")}, "llm_price_per_mtok is inf; expected 0 or more"),
        ({"llm_currency": "US dollars"}, "llm_currency is 'US dollars'; expected up to 8 characters"),
        ({"llm_currency": ""}, "llm_currency is ''; expected up to 8 characters"),
    ],
)
def test_price_that_is_none_refused(fields: dict[str, Any], said: str) -> None:
    """What a page could not say of a run is refused where settings are made; a price needs no model."""
    assert settings(llm_price_per_mtok=0.4, llm_currency="EUR").llm_currency == "EUR"
    with pytest.raises(SettingsError, match=said):
        settings(**fields)


def test_price_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a number like any other, and what is none is told."""
    monkeypatch.setenv("RUNCAST_LLM_PRICE_PER_MTOK", "0.4")
    assert Settings.from_environment().llm_price_per_mtok == 0.4
    monkeypatch.setenv("RUNCAST_LLM_PRICE_PER_MTOK", "cheap")
    with pytest.raises(SettingsError, match="RUNCAST_LLM_PRICE_PER_MTOK is 'cheap'; expected a number"):
        Settings.from_environment()


@pytest.mark.parametrize("name", ["llm_timeout_s", "llm_max_output_tokens", "llm_context_tokens"])
def test_limit_of_nothing_refused(name: str) -> None:
    """A limit of zero would refuse every answer: it is refused where settings are made."""
    with pytest.raises(SettingsError, match=name):
        settings(**MODEL, **{name: 0})


def test_settings_show_what_is_set_and_no_secret() -> None:
    """Whatever prints settings shows no key, secret or password, and says that they are set."""
    database = "postgresql://runcast:pass-of-database@127.0.0.1/x"
    shown = repr(settings(**MODEL, llm_api_key=KEY, secret="s" * 32, database_url=database, port=7))
    assert shown == (
        "Settings(port=7, database_url=***, secret=***, llm_base_url='http://127.0.0.1:11434/v1', "
        "llm_model='llama', llm_api_key=***)"
    )


async def test_authorities_that_cannot_be_read_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate file that is not there is told at start, not at the first answer."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(SettingsError, match="trusted certificates cannot be read"):
        async with model_of(settings(**MODEL), SystemClock()):
            pass


def test_serve_with_half_of_a_model_says_so_and_serves_nothing(tmp_path: Path) -> None:
    """The flags are those settings, and bad use of them ends the command."""
    result = runcast("serve", "--home", tmp_path / "home", "--llm-model", "llama", RUNCAST_LLM_API_KEY=KEY)
    assert result.exit_code == 2
    assert "llm_model is set and llm_base_url is not" in result.stderr
    assert KEY not in result.output
