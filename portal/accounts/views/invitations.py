"""What somebody sees who opens a link to join or to set a new password."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET

from portal.accounts import audit, invitations, oidc
from portal.accounts.forms import JoinForm, NewPasswordForm
from portal.accounts.models import Invitation, User
from portal.accounts.oidc import INVITATION_KEY
from portal.accounts.permissions import SESSION_KEY
from portal.accounts.throttle import too_often

PER_MINUTE = 20
BACKEND = "django.contrib.auth.backends.ModelBackend"


def private(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """No cache keeps the page, and no other site learns its address.

    Not "no-referrer": browsers would send the form with the origin "null", which is refused.
    """

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> HttpResponse:
        response = view(*args, **kwargs)
        response["Referrer-Policy"] = "same-origin"
        return response

    return login_not_required(never_cache(guarded))


@require_GET
@private
def open_link(request: HttpRequest, token: str) -> HttpResponse:
    """Remember the invitation in the session and go on without the secret in the address.

    Always a redirect: what answers with an error would be logged, with the secret.
    """
    request.session.pop(INVITATION_KEY, None)
    if too_often(request, "invitation", limit=PER_MINUTE):
        return redirect("accounts:too_often")
    if found := invitations.find(token):
        request.session[INVITATION_KEY] = found.pk
    return redirect("accounts:join")


@private
@sensitive_post_parameters()
def join(request: HttpRequest) -> HttpResponse:
    """Join, or set the new password; a link that is used up gets a friendly page."""
    rows = Invitation.objects.select_related("project", "user", "created_by")
    found = rows.filter(pk=request.session.get(INVITATION_KEY)).first()
    if found is None or found.state != "open":
        context = {"state": found.state if found else "unknown"}
        return render(request, "accounts/invitation_over.html", context, status=410)
    try:
        if found.user:
            return _new_password(request, found)
        return _member(request, found) if request.user.is_authenticated else _new(request, found)
    except invitations.NotOpen:  # somebody else was faster
        return redirect("accounts:join")


@login_not_required
def slow_down(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/too_often.html", status=429)


def _member(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    """Somebody who is signed in joins by one button."""
    project = invitation.project
    if project.memberships.filter(user=request.user).exists():
        messages.info(request, _("You are a member of %(project)s already.") % {"project": project})
    elif request.method != "POST":
        return _page(request, invitation)
    else:
        invitations.join(invitation, request.user)
        messages.success(request, _("You are now a member of %(project)s.") % {"project": project})
    del request.session[INVITATION_KEY]
    request.session[SESSION_KEY] = project.pk
    return redirect("home")


def _new(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    """Somebody new chooses name and password and is signed in."""
    # The address decides nothing for the password but must not be it.
    person = User(email=invitation.email)
    form = JoinForm(request.POST or None, instance=person)
    if request.method != "POST" or not form.is_valid():
        return _page(request, invitation, form)
    with transaction.atomic():
        form.save()
        invitations.join(invitation, person)
        audit.record_person("person.sign_in", person, through="invitation")
    del request.session[INVITATION_KEY]
    login(request, person, backend=BACKEND)
    messages.success(
        request,
        _("Welcome. You are now a member of %(project)s.") % {"project": invitation.project},
    )
    return redirect("home")


def _new_password(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    form = NewPasswordForm(invitation.user, request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _page(request, invitation, form)
    invitations.set_password(invitation, form.cleaned_data["new_password1"])
    request.session.pop(INVITATION_KEY, None)
    messages.success(request, _("The new password is set. Sign in with it."))
    return redirect("accounts:login")


def _page(request: HttpRequest, invitation: Invitation, form: Any = None) -> HttpResponse:
    name = settings.OIDC_NAME if oidc.configured() else ""
    context = {"invitation": invitation, "form": form, "oidc_name": name}
    status = 422 if form is not None and form.is_bound else 200
    return render(request, "accounts/invitation.html", context, status=status)
