"""The portal's settings for measuring its pages: each reply tells what it cost the server."""

from portal.settings import *  # noqa: F403
from portal.settings import MIDDLEWARE, STORAGES

MIDDLEWARE = ["tests.benchmarks.timing.Timing", *MIDDLEWARE]
STORAGES = {
    **STORAGES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
