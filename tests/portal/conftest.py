from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def static_files_as_they_lie(settings: object) -> None:
    """Pages in tests name their files without the hash that `collectstatic` adds."""
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
