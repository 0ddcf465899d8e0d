"""The client's side of SCRAM-SHA-256, with which Postgres asks for a password. RFC 5802 and RFC 7677."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

MECHANISM = b"SCRAM-SHA-256"
_NO_CHANNEL_BINDING = b"n,,"


class Scram:
    """One login: `first` goes out, the answer goes into `final`, whose result goes out."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._bare = b"n=,r=" + base64.b64encode(
            secrets.token_bytes(18)
        )  # Postgres takes the name from the startup

    @property
    def first(self) -> bytes:
        """The message that opens the exchange."""
        return _NO_CHANNEL_BINDING + self._bare

    def final(self, challenge: bytes) -> bytes:
        """The proof that the password is known."""
        given = dict(part.split(b"=", 1) for part in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac(
            "sha256", self._password, base64.b64decode(given[b"s"]), int(given[b"i"])
        )
        without_proof = b"c=" + base64.b64encode(_NO_CHANNEL_BINDING) + b",r=" + given[b"r"]
        key = hmac.digest(salted, b"Client Key", "sha256")
        signed = b",".join((self._bare, challenge, without_proof))
        signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        return without_proof + b",p=" + base64.b64encode(proof)
