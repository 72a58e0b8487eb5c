"""Another issuer of tokens: its keys, what it signs, and the place where it publishes its keys."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from realtime.ports import User

SHARED_SECRET = "a secret that another backend shares with this server"
TENANT = "demo"
EMAIL = "owner@localhost"


@cache
def private_key(name: str) -> Any:
    """A private key, the same for the same name, which begins with its kind."""
    kind = name.partition(" ")[0]
    if kind == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "P-384":
        return ec.generate_private_key(ec.SECP384R1())
    if kind == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=1024 if kind == "weak" else 2048)


def public_pem(name: str) -> bytes:
    """The public half of a key as PEM."""
    return bytes(private_key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def private_pem(name: str) -> bytes:
    """A private key as PEM."""
    return bytes(private_key(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def jwk(name: str, **more: Any) -> dict[str, Any]:
    """The public half of a key as a JWK, with ``more`` in it."""
    algorithm = {"EdDSA": "EdDSA", "Ed448": "EdDSA", "ES256": "ES256", "P-384": "ES384"}
    form = jwt.get_algorithm_by_name(algorithm.get(name.partition(" ")[0], "RS256"))
    return {**form.to_jwk(private_key(name).public_key(), as_dict=True), **more}


def claims(**changes: Any) -> dict[str, Any]:
    """What the issuer says of the local user, with changes; a claim changed to ``...`` is left out."""
    said = {"iss": "https://issuer.example", "sub": "u-1", "tenant": TENANT, "email": EMAIL, "exp": time.time() + 600}
    return {name: value for name, value in {**said, **changes}.items() if value is not ...}


def signed(name: str, said: dict[str, Any] | None = None, **header: Any) -> str:
    """A token with these claims, signed with a key of that name."""
    algorithm = name.partition(" ")[0]
    return jwt.encode(said or claims(), private_key(name), algorithm, headers=header)


def shared(said: dict[str, Any] | None = None, **header: Any) -> str:
    """A token with these claims, signed with the shared secret."""
    return jwt.encode(said or claims(), SHARED_SECRET, "HS256", headers=header)


def segment(content: bytes) -> str:
    """One part of a token."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def forged(header: Any, said: Any, secret: bytes | None) -> str:
    """A token that no library would make: any header and claims (bytes as they are), HMAC with any secret or none."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, said)]
    text = ".".join(map(segment, parts))
    signature = b"" if secret is None else hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{segment(signature)}"


class Publisher:
    """Serves the issuer's JWK set; what it answers, and how soon, can be changed at any time."""

    def __init__(self) -> None:
        self.url = ""
        self.asked = 0
        self.arrived = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.trickle = False
        self._status = "200 OK"
        self._headers = ""
        self._body = b""

    def publish(self, *jwks: dict[str, Any]) -> None:
        """From now on these are the keys."""
        self.answer(json.dumps({"keys": jwks}).encode())

    def answer(self, body: bytes, status: str = "200 OK", headers: str = "") -> None:
        """From now on this is the answer."""
        self._status, self._headers, self._body = status, headers, body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, once it is ``open``; a ``trickle`` never ends."""
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            self.arrived.set()
            await self.open.wait()
            head = f"HTTP/1.1 {self._status}\r\nContent-Length: {len(self._body)}\r\nConnection: close\r\n"
            writer.write(f"{head}{self._headers}\r\n".encode() + (b"" if self.trickle else self._body))
            while self.trickle:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def publisher() -> AsyncIterator[Publisher]:
    """A place that publishes keys, on a free port."""
    place = Publisher()
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(place.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    place.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
    try:
        yield place
    finally:
        server.close()
        for task in tuple(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


class Directory:
    """`realtime.ports.Accounts`, as far as tokens ask: one user, and what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def find_user(self, tenant: str, email: str) -> Any:
        """The local user, and nobody else."""
        self.asked.append((tenant, email))
        known = (tenant, email.lower()) == (TENANT, EMAIL)
        return User(tenant=TENANT, id="user-1", email=EMAIL) if known else None
