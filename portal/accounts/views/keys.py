"""Keys for machines: make them, see what they are used for, revoke them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from portal.accounts import keys, once
from portal.accounts.forms import KeyForm
from portal.accounts.models import ApiKey, Role, Scope
from portal.accounts.permissions import fetch, require
from portal.ui.tables import paged

NEW = "new_key"


@require(Role.ADMIN)
@never_cache
def index(request: HttpRequest) -> HttpResponse:
    """All keys; after one is made, its secret, for this one time."""
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        key, secret = keys.issue(
            request.project, values["name"], values["scopes"], request.user, form.expires_at
        )
        once.keep(request, NEW, {"key": key.pk, "secret": secret})
        return redirect("accounts:keys")
    made = once.take(request, NEW)
    found = request.project.api_keys.select_related("created_by")
    labels = dict(Scope.choices)
    page = paged(request, found)
    for key in page:
        key.may = [labels[scope] for scope in key.scopes if scope in labels]
    mine = request.project.api_keys.filter(pk=made.get("key")).exists()
    context = {"page": page, "form": form, "secret": made.get("secret", "") if mine else ""}
    return render(request, "accounts/keys.html", context, status=422 if form.is_bound else 200)


@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    key = fetch(request, ApiKey.objects.select_related("project"), Role.ADMIN, pk=pk)
    keys.revoke(key, by=request.user)
    return redirect("accounts:keys")
