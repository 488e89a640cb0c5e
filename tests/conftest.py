"""People and things that tests share. People are fixtures, things come from ``make_…``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

# Before Django reads its settings: tests never touch the data of this checkout.
_data = tempfile.TemporaryDirectory(prefix="portal-tests-")
os.environ.setdefault("PORTAL_DATA_DIR", _data.name)
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright runs a loop in this thread

import pytest  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import translation  # noqa: E402

pytest_plugins = ["tests.real", "tests.services"]

from portal.accounts.models import Membership, Project, Role, User  # noqa: E402


@pytest.fixture
def project(db: None) -> Project:
    return Project.objects.create(name="Claims assistant")


def member(name: str, project: Project | None, role: str) -> User:
    user = User.objects.create_user(name, password=f"{name}-has-a-long-password")
    if project:
        Membership.objects.create(project=project, user=user, role=role)
    return user


@pytest.fixture
def alice(project: Project) -> User:
    """Administrator."""
    return member("alice", project, Role.ADMIN)


@pytest.fixture
def erik(project: Project) -> User:
    """Engineer."""
    return member("erik", project, Role.ENGINEER)


@pytest.fixture
def vera(project: Project) -> User:
    """Viewer."""
    return member("vera", project, Role.VIEWER)


@pytest.fixture
def mallory(db: None) -> User:
    """Engineer of another project."""
    return member("mallory", Project.objects.create(name="Elsewhere"), Role.ENGINEER)


@pytest.fixture
def as_erik(client: Client, erik: User) -> Client:
    client.force_login(erik)
    return client


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    """A request in German leaves its language to the thread, and so to the next test."""
    yield
    translation.deactivate()


@pytest.fixture(autouse=True)
def plain_static_files(settings: object) -> None:
    """Templates name static files without a manifest, which only collectstatic makes."""
    settings.STORAGES = {  # type: ignore[attr-defined]
        **settings.STORAGES,  # type: ignore[attr-defined]
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
