from django.urls import include, path

from portal import health, home, metrics
from portal.api import site
from portal.ui import views as ui

urlpatterns = [
    path("", home.home, name="home"),
    path("help/", include("portal.help.urls")),
    path("accounts/", include("portal.accounts.urls")),
    path("", include("evals.urls")),
    path("", include("workers.urls")),
    path("api/v1/", include(site.urls())),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("-/ui", ui.patterns, name="patterns"),
    path("robots.txt", home.robots),
]
