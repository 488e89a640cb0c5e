"""The errands' tables in the test database, for tests that need rows but no processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from portal.accounts.models import Project
from tests.workers.app.models import Errand, Stop, Tour


@pytest.fixture(scope="module")
def errand_tables(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Made and dropped per module: a left-over table would hinder other tests' clean-up."""
    models = (Errand, Stop, Tour)
    with django_db_blocker.unblock():
        with connection.schema_editor() as editor:
            for model in models:
                editor.create_model(model)
        yield
        with connection.schema_editor() as editor:
            for model in reversed(models):
                editor.delete_model(model)


@pytest.fixture
def project(errand_tables: None, db: None, settings: Any) -> Project:
    """A project in a portal that has the errands' app."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "tests.workers.app"]
    return Project.objects.create(name="Claims assistant")
