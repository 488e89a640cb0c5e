from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.evals.stub_server import StubServer


@pytest.fixture(scope="session")
def running_stub() -> Iterator[StubServer]:
    with StubServer() as server:
        yield server


@pytest.fixture
def stub(running_stub: StubServer) -> StubServer:
    """A stub server that has been asked nothing yet and works."""
    running_stub.reset()
    return running_stub


@pytest.fixture(autouse=True)
def quick_passwords(settings: object) -> None:
    """People sign in by force here: a strong hash would only cost a third of a second each."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
