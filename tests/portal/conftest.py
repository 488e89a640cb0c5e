from __future__ import annotations

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def nobody_has_asked_yet() -> None:
    """What is counted per address and minute starts anew in every test."""
    cache.clear()


@pytest.fixture(autouse=True)
def static_files_as_they_lie(settings: object) -> None:
    """Pages in tests name their files without the hash that `collectstatic` adds."""
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
