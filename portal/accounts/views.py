"""Sign in, and what follows a person: language, theme, current project."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, resolve_url
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from portal.accounts.forms import SignInForm
from portal.accounts.models import Theme
from portal.accounts.permissions import SESSION_KEY
from portal.ui.context import THEME_COOKIE

A_YEAR = 365 * 24 * 3600


@method_decorator(login_not_required, name="dispatch")
class SignIn(LoginView):
    template_name = "accounts/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


@login_not_required
@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Remember the language on the person and, for the sign-in page, in a cookie."""
    chosen = request.POST.get("language", "")
    if chosen not in dict(settings.LANGUAGES):
        return HttpResponseBadRequest()
    return _remember(request, "language", settings.LANGUAGE_COOKIE_NAME, chosen)


@login_not_required
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember light, dark or the system's choice, likewise."""
    chosen = request.POST.get("theme", "")
    if chosen not in Theme.values:
        return HttpResponseBadRequest()
    return _remember(request, "theme", THEME_COOKIE, chosen)


@require_POST
def project(request: HttpRequest) -> HttpResponse:
    """Work in another of one's projects from now on, starting at its home page."""
    chosen = request.POST.get("project", "")
    if chosen not in {str(m.project_id) for m in request.memberships}:
        raise Http404
    request.session[SESSION_KEY] = int(chosen)
    return redirect("home")


def _remember(request: HttpRequest, field: str, cookie: str, chosen: str) -> HttpResponse:
    if request.user.is_authenticated:
        setattr(request.user, field, chosen)
        request.user.save(update_fields=[field])
    response = redirect(_back(request))
    response.set_cookie(
        cookie, chosen, A_YEAR, secure=settings.HTTPS, httponly=True, samesite="Lax"
    )
    return response


def _back(request: HttpRequest) -> str:
    """The page that the form stood on, if it is one of ours."""
    page = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(
        page, {request.get_host()}, require_https=request.is_secure()
    )
    return page if ours else resolve_url("home")
