"""Stored keys stay unreadable to whoever has only the database."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PURPOSE = b"pruefstand stored secrets, version 1"


class SecretUnreadable(Exception):
    """A stored secret does not open with any of the configured keys."""


class Keyring:
    """Encrypts with the first passphrase, opens with any of them.

    The passphrases are expected to be long and random (the portal makes 48 random
    bytes by itself): the derivation separates uses, it does not slow down guessing.
    """

    def __init__(self, passphrases: Sequence[str]) -> None:
        if not passphrases or not all(p.strip() for p in passphrases):
            raise ValueError("PORTAL_ENCRYPTION_KEYS needs at least one passphrase, none empty.")
        self._fernet = MultiFernet([Fernet(_key(p)) for p in passphrases])

    def encrypt(self, text: str) -> str:
        """``text`` as a token to store; two calls never give the same token."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, token: str) -> str:
        """The text of ``token``. Raises ``SecretUnreadable``."""
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken:
            raise SecretUnreadable(_UNREADABLE) from None

    def rotate(self, token: str) -> str:
        """The same secret under the newest passphrase. Raises ``SecretUnreadable``."""
        try:
            return self._fernet.rotate(token.encode()).decode()
        except InvalidToken:
            raise SecretUnreadable(_UNREADABLE) from None


_UNREADABLE = (
    "The stored key cannot be read with the current PORTAL_ENCRYPTION_KEYS. "
    "Add the passphrase it was stored with, or enter the key again."
)


def from_settings() -> Keyring:
    """The keyring of this installation."""
    from django.conf import settings

    return Keyring(settings.ENCRYPTION_KEYS)


def encrypt(text: str) -> str:
    """``text`` as a token under this installation's newest passphrase."""
    return from_settings().encrypt(text)


def decrypt(token: str) -> str:
    """The text of a token of this installation. Raises ``SecretUnreadable``."""
    return from_settings().decrypt(token)


def last_four(text: str) -> str:
    """The end of a key, to recognise it by; empty when four characters would be half of it."""
    return text[-4:] if len(text) >= 8 else ""


def _key(passphrase: str) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE)
    return base64.urlsafe_b64encode(derived.derive(passphrase.encode()))
