from django.urls import include, path

from portal import health, home, metrics
from portal.accounts.oidc import PROVIDER
from portal.accounts.views import session
from portal.api import pages, site
from portal.ui import views as ui

urlpatterns = [
    path("", home.home, name="home"),
    path("help/", include("portal.help.urls")),
    path("", include("portal.accounts.urls")),
    # The name is django-allauth's, which looks it up without a namespace.
    path(
        "accounts/oidc/callback/",
        session.oidc_end,
        {"provider_id": PROVIDER},
        name="openid_connect_callback",
    ),
    path("", include("evals.urls")),
    path("", include("workers.urls")),
    path("api/v1/docs", pages.operations, name="api_docs"),
    path("api/v1/", include(site.urls())),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("-/ui", ui.patterns, name="patterns"),
    path("robots.txt", home.robots),
]
