"""A project's name, members and invitations; for its administrators."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from portal.accounts import invitations, members, once, projects
from portal.accounts.forms import InvitationForm, ProjectForm, RoleForm
from portal.accounts.models import Invitation, Membership, Project, Role
from portal.accounts.permissions import MEMBER, SESSION_KEY, demand_superuser, fetch, require

NEW = "new_link"


@require(Role.ADMIN)
def project(request: HttpRequest) -> HttpResponse:
    current = Project.objects.get(pk=request.project.pk)
    form = ProjectForm(request.POST or None, instance=current)
    if request.method == "POST" and form.is_valid():
        projects.rename(request.project, form.cleaned_data["name"], by=request.user)
        messages.success(request, _("Saved."))
        return redirect("accounts:project_settings")
    return _page(request, form=form)


@require_POST
def change_role(request: HttpRequest, pk: int) -> HttpResponse:
    membership = fetch(request, Membership.objects, Role.ADMIN, pk=pk)
    form = RoleForm(request.POST)
    if form.is_valid():
        try:
            members.change_role(membership, form.cleaned_data["role"], by=request.user)
        except members.LastAdministrator as error:
            messages.error(request, str(error))
    return redirect("accounts:project_settings")


@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    membership = fetch(request, Membership.objects.select_related("user"), Role.ADMIN, pk=pk)
    try:
        members.remove(membership, by=request.user)
    except members.LastAdministrator as error:
        messages.error(request, str(error))
    else:
        said = _("%(name)s is no longer a member.") % {"name": membership.user.get_username()}
        messages.success(request, said)
    # Who removed themselves has lost the page.
    return redirect("home" if membership.user == request.user else "accounts:project_settings")


@require_POST
@never_cache
def password_link(request: HttpRequest, pk: int) -> HttpResponse:
    membership = fetch(request, Membership.objects.select_related("user"), Role.ADMIN, pk=pk)
    try:
        invitation, token = invitations.password_link(
            request.project, membership.user, by=request.user
        )
    except invitations.CannotInvite as error:
        messages.error(request, str(error))
        return redirect("accounts:project_settings")
    return _link(request, invitation, token)


@require_POST
@require(Role.ADMIN)
@never_cache
def invite(request: HttpRequest) -> HttpResponse:
    form = InvitationForm(request.POST)
    if not form.is_valid():
        return _page(request, invite=form)
    made = invitations.create(
        request.project, form.cleaned_data["role"], email=form.cleaned_data["email"],
        by=request.user,
    )  # fmt: skip
    return _link(request, *made)


@require_GET
@require(Role.ADMIN)
@never_cache
def link(request: HttpRequest) -> HttpResponse:
    """A link that was just made; there is no way back to it."""
    made = once.take(request, NEW)
    rows = request.project.invitations.select_related("user")
    found = rows.filter(pk=made.get("invitation")).first()
    if found is None:
        return redirect("accounts:project_settings")
    address = request.build_absolute_uri(reverse("accounts:invitation", args=[made["token"]]))
    return render(request, "accounts/link.html", {"invitation": found, "address": address})


@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    invitation = fetch(request, Invitation.objects, Role.ADMIN, pk=pk)
    invitations.revoke(invitation, by=request.user)
    return redirect("accounts:project_settings")


@require(MEMBER)
def create(request: HttpRequest) -> HttpResponse:
    """A further project; for those who run the portal."""
    demand_superuser(request)
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = projects.create(form.cleaned_data["name"], by=request.user)
        request.session[SESSION_KEY] = made.pk
        return redirect("accounts:project_settings")
    status = 422 if form.is_bound else 200
    return render(request, "accounts/project_new.html", {"form": form}, status=status)


def _page(request: HttpRequest, **forms: Any) -> HttpResponse:
    context = {
        "form": forms.get("form") or ProjectForm(instance=request.project),
        "invite": forms.get("invite") or InvitationForm(),
        "members": request.project.memberships.select_related("user").order_by("user__username"),
        "invitations": request.project.invitations.open().select_related("user", "created_by"),
        "roles": Role.choices,
    }
    status = 422 if any(form.is_bound for form in forms.values()) else 200
    return render(request, "accounts/project.html", context, status=status)


def _link(request: HttpRequest, invitation: Invitation, token: str) -> HttpResponse:
    """To the page that shows the link, so that reloading it makes no second one."""
    once.keep(request, NEW, {"invitation": invitation.pk, "token": token})
    return redirect("accounts:link")
