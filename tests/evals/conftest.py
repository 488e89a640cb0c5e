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
