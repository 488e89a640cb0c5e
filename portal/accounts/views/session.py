"""Sign in, and what follows a person: language, theme, current project."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.providers.openid_connect.views import callback
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseRedirect,
)
from django.shortcuts import redirect, render, resolve_url
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from portal.accounts import audit, oidc
from portal.accounts.forms import SignInForm
from portal.accounts.models import AuditEntry, Theme, User
from portal.accounts.permissions import SESSION_KEY
from portal.ui.context import THEME_COOKIE

A_YEAR = 365 * 24 * 3600


@method_decorator(login_not_required, name="dispatch")
class SignIn(LoginView):
    template_name = "accounts/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        name = settings.OIDC_NAME if oidc.configured() else ""
        return super().get_context_data(oidc_name=name, **kwargs)

    def form_valid(self, form: SignInForm) -> HttpResponse:
        response = super().form_valid(form)
        audit.record_person("person.sign_in", form.get_user())
        return response

    def form_invalid(self, form: SignInForm) -> HttpResponse:
        """Failures are written down for names that exist, once when the door is shut."""
        person = User.objects.filter(username=form.cleaned_data.get("username", "")).first()
        locked = getattr(self.request, "axes_locked_out", False)
        action = "person.lock_out" if locked else "person.sign_in_failed"
        since = timezone.now() - settings.AXES_COOLOFF_TIME
        told = AuditEntry.objects.filter(action=action, at__gt=since, actor=person)
        if person and not (locked and told.exists()):
            audit.record_person(action, person)
        return super().form_invalid(form)


def locked_out(request: HttpRequest, response: HttpResponse, credentials: Any) -> HttpResponse:
    """Too many wrong passwords for this name from this address (asked by django-axes)."""
    minutes = settings.AXES_COOLOFF_TIME.seconds // 60
    return render(request, "accounts/locked_out.html", {"minutes": minutes}, status=429)


@login_not_required
@require_POST
def oidc_begin(request: HttpRequest) -> HttpResponse:
    """On to the OpenID provider, when there is one."""
    if not oidc.configured():
        raise Http404
    return oidc.begin(request, _back(request))


@login_not_required
@require_GET
def oidc_end(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Back from the provider."""
    if not oidc.configured():
        raise Http404
    return callback(request, provider_id)


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
    response = HttpResponseRedirect(_back(request))  # redirect() takes words for names of views
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
    return page if ours and page.startswith("/") else resolve_url("home")
