"""The portal's settings for worker processes of the tests: only what jobs need, plus errands."""

from portal.settings import *  # noqa: F403

INSTALLED_APPS = [
    "tests.workers.app",
    "workers",
    "portal.accounts",
    "django.contrib.auth",
    "django.contrib.contenttypes",
]
ROOT_URLCONF = "workers.urls"


class NoMigrations:
    """Tables straight from the models: quicker, and independent of the migrations."""

    def __contains__(self, app: str) -> bool:
        return True

    def __getitem__(self, app: str) -> None:
        return None


MIGRATION_MODULES = NoMigrations()
