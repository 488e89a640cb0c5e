"""A person's own settings: name, e-mail, password."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from portal.accounts import audit
from portal.accounts.forms import ChangePasswordForm, PersonForm
from portal.accounts.models import User
from portal.accounts.permissions import MEMBER, require


@require(MEMBER)
def account(request: HttpRequest) -> HttpResponse:
    # A copy: what is wrong with the form must not stand in the frame of the page.
    person = User.objects.get(pk=request.user.pk)
    form = PersonForm(request.POST or None, instance=person)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
            if form.changed_data:
                audit.record_person("person.change", person, fields=form.changed_data)
        messages.success(request, _("Saved."))
        return redirect("accounts:settings")
    status = 422 if form.is_bound else 200
    return render(request, "accounts/account.html", {"form": form}, status=status)


@require(MEMBER)
@sensitive_post_parameters()
def password(request: HttpRequest) -> HttpResponse:
    """Change the password; sessions on other devices end, this one goes on."""
    if not request.user.has_usable_password():
        raise Http404
    form = ChangePasswordForm(request.user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
            audit.record_person("person.change_password", request.user)
        update_session_auth_hash(request, request.user)
        messages.success(request, _("The password is changed. Other devices are signed out."))
        return redirect("accounts:settings")
    status = 422 if form.is_bound else 200
    return render(request, "accounts/password.html", {"form": form}, status=status)
