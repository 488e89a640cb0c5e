"""Stored keys: unreadable without the passphrase, and the passphrase can change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import secrets
from portal.secrets import Keyring, SecretUnreadable

OLD, NEW = "an old passphrase of good length", "a new passphrase of good length"


@given(st.text())
def test_it_gives_back_what_was_stored(text: str) -> None:
    assert Keyring([NEW]).decrypt(Keyring([NEW]).encrypt(text)) == text


def test_it_stores_nothing_readable_and_never_the_same_twice() -> None:
    ring = Keyring([NEW])
    first, second = ring.encrypt("sk-CANARY-1234"), ring.encrypt("sk-CANARY-1234")
    assert "CANARY" not in first
    assert first != second


def test_it_opens_old_tokens_after_a_new_passphrase_came_first() -> None:
    token = Keyring([OLD]).encrypt("sk-CANARY-1234")
    both = Keyring([NEW, OLD])
    assert both.decrypt(token) == "sk-CANARY-1234"
    rotated = both.rotate(token)
    assert Keyring([NEW]).decrypt(rotated) == "sk-CANARY-1234"


def test_it_says_what_to_do_when_no_passphrase_fits() -> None:
    token = Keyring([OLD]).encrypt("sk-CANARY-1234")
    for attempt in (Keyring([NEW]).decrypt, Keyring([NEW]).rotate):
        with pytest.raises(SecretUnreadable, match="PORTAL_ENCRYPTION_KEYS"):
            attempt(token)


@pytest.mark.parametrize("token", ["", "x", "not a token", "gAAAAAB" + "A" * 60, "ünlesbar"])
def test_it_calls_a_damaged_token_unreadable(token: str) -> None:
    with pytest.raises(SecretUnreadable):
        Keyring([NEW]).decrypt(token)


@pytest.mark.parametrize("passphrases", [[], [""], [NEW, "  "]])
def test_it_refuses_to_work_without_a_passphrase(passphrases: list[str]) -> None:
    with pytest.raises(ValueError, match="PORTAL_ENCRYPTION_KEYS"):
        Keyring(passphrases)


def test_it_reads_the_settings_at_every_use(settings: pytest.FixtureRequest) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    token = secrets.encrypt("sk-CANARY-1234")
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert secrets.decrypt(token) == "sk-CANARY-1234"
    settings.ENCRYPTION_KEYS = [NEW]
    with pytest.raises(SecretUnreadable):
        secrets.decrypt(token)


def test_it_shows_four_characters_of_a_long_key_and_none_of_a_short_one() -> None:
    assert secrets.last_four("sk-CANARY-1234") == "1234"
    assert secrets.last_four("abc1234") == ""
    assert secrets.last_four("") == ""
