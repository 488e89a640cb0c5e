from django.urls import include, path

from portal import home
from portal.ui import views as ui

urlpatterns = [
    path("", home.home, name="home"),
    path("accounts/", include("portal.accounts.urls")),
    path("", include("evals.urls")),
    path("", include("workers.urls")),
    path("-/health", home.health, name="health"),
    path("-/ui", ui.patterns, name="patterns"),
    path("robots.txt", home.robots),
]
