from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.workers.installation import Installation


@pytest.fixture(scope="module", params=["sqlite, embedded broker", "postgresql, redis"])
def either_installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    database = broker = ""
    if request.param.startswith("postgresql"):
        database = request.getfixturevalue("fresh_database")
        broker = request.getfixturevalue("redis_url")
    with Installation(tmp_path_factory.mktemp("installation"), database, broker) as made:
        yield made


@pytest.fixture
def installation(either_installation: Installation) -> Iterator[Installation]:
    """An installation of each kind, the laptop's and the server's, without processes yet."""
    yield either_installation
    either_installation.stop()


@pytest.fixture(scope="module")
def laptop_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("laptop")) as made:
        yield made


@pytest.fixture
def laptop(laptop_installation: Installation) -> Iterator[Installation]:
    """An installation with SQLite and the embedded broker."""
    yield laptop_installation
    laptop_installation.stop()


@pytest.fixture(scope="module")
def fresh_database(postgresql_url: str) -> Iterator[str]:
    """An empty database of its own on the session's PostgreSQL."""
    server = postgresql_url.rsplit("/", 1)[0]
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE installation")
        yield f"{server}/installation"
        connection.execute("DROP DATABASE installation WITH (FORCE)")
