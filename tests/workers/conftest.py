from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import postgresql_url, redis_url  # noqa: F401
from tests.workers.installation import Installation


@pytest.fixture(params=["sqlite, embedded broker", "postgresql, redis"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """An installation of each kind: the laptop's and the server's."""
    database = broker = ""
    if request.param.startswith("postgresql"):
        database = request.getfixturevalue("fresh_database")
        broker = request.getfixturevalue("redis_url")
    with Installation(tmp_path, database, broker) as made:
        yield made


@pytest.fixture
def fresh_database(postgresql_url: str) -> Iterator[str]:  # noqa: F811
    """An empty database of its own on the session's PostgreSQL."""
    import psycopg

    server, name = postgresql_url.rsplit("/", 1)[0], "installation"
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"{server}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(autouse=True)
def no_old_pokes(request: pytest.FixtureRequest) -> None:
    """A Redis is shared by the tests: empty it for each."""
    if "redis_url" in request.fixturenames or "installation" in request.fixturenames:
        import redis

        if "postgresql" in str(
            getattr(request.node, "callspec", None) and request.node.callspec.id
        ):
            redis.from_url(request.getfixturevalue("redis_url")).flushall()
