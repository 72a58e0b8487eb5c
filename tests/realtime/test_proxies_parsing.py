"""What proxies say of a request, whatever it is: addresses, networks, and a scope that can be served."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import PROPERTY

from realtime.proxies import TrustedProxies, parse_address
from realtime.settings import Settings, SettingsError

LOOPBACK = ("127.0.0.0/8", "10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    "network", ["", "*", "10.0.0.0/33", "10.0.0.1/8", "proxy.example", "unix", "10.0.0", "::1/129"]
)
def test_proxy_that_is_no_network_is_refused_at_start(network: str) -> None:
    """The error names the setting and what was expected."""
    with pytest.raises(SettingsError, match=r"trusted_proxies: .*; expected an address or a network"):
        Settings(trusted_proxies=("127.0.0.1", network))


@PROPERTY
@given(st.text(max_size=60) | st.ip_addresses().map(str))
def test_any_text_is_an_address_or_none(text: str) -> None:
    """What is read as an address is one, and reads the same again."""
    address = parse_address(text)
    if address is not None:
        assert parse_address(str(address)) == address
        assert "%" not in str(address)


ENTRY = st.sampled_from(["10.0.0.1", "127.0.0.1", "203.0.113.9", "2001:db8::9", "", "x", "10.0.0.1:5", "[fd00::1]"])


@PROPERTY
@given(
    st.lists(st.lists(ENTRY, max_size=5).map(", ".join) | st.text(max_size=30), max_size=4),
    st.text(max_size=20),
    st.text(max_size=20),
    st.sampled_from([("127.0.0.1", 5), ("203.0.113.1", 5), ("not an address", 5), ("/run/socket", None), None]),
)
async def test_any_headers_leave_a_scope_that_can_be_served(
    chain: list[str], proto: str, host: str, peer: tuple[str, int | None] | None
) -> None:
    """Whatever is said by whom: a client that is an address, a scheme that there is, one host, and no failure."""
    headers = [
        (b"host", b"direct.example"),
        (b"x-forwarded-proto", proto.encode()),
        (b"x-forwarded-host", host.encode()),
    ]
    headers += [(b"x-forwarded-for", line.encode()) for line in chain]
    given_scope = {"type": "http", "scheme": "http", "client": peer, "headers": headers}
    seen_scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen_scopes.append(scope)

    await TrustedProxies(app, LOOPBACK)(dict(given_scope), None, None)  # type: ignore[arg-type]
    (scope,) = seen_scopes
    if peer is None or not peer[0].startswith("127."):
        assert scope == given_scope
        return
    ipaddress.ip_address(scope["client"][0])
    assert scope["scheme"] in {"http", "https"}
    assert len([value for name, value in scope["headers"] if name == b"host"]) == 1
