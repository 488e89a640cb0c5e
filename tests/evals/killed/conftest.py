from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evals.killed.installation import Measuring
from tests.evals.stub_server import StubServer


@pytest.fixture(params=["sqlite, embedded broker", "postgresql, redis"])
def installation(
    request: pytest.FixtureRequest, stub: StubServer, tmp_path: Path
) -> Iterator[Measuring]:
    """An installation of each kind, the laptop's and the server's, with both workers busy."""
    database = broker = ""
    if request.param.startswith("postgresql"):
        database = request.getfixturevalue("measuring_database")
        broker = request.getfixturevalue("empty_redis")
    with Measuring(stub, tmp_path, database, broker) as made:
        yield made


@pytest.fixture
def measuring_database(postgresql_url: str) -> Iterator[str]:
    """An empty database of its own on the session's PostgreSQL."""
    import psycopg

    server, name = postgresql_url.rsplit("/", 1)[0], "measuring"
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"{server}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_redis(redis_url: str) -> str:
    import redis

    redis.from_url(redis_url).flushall()
    return redis_url
