"""In which project a person works, and what they may do there.

A view asks in its first line: ``run = fetch(request, Run.objects, Role.ENGINEER, pk=pk)``
fetches and authorises at once. What belongs to another project does not exist
for a person (404); what their role is too small for is refused (403).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied
from django.db.models import Manager, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _

from portal.accounts.models import Membership, Role

M = TypeVar("M", bound=Model)
View = Callable[..., HttpResponse]
MEMBER = "member"  # what every member may, whatever the role
# Who may do what a role may. Engineers look, and rate as well; raters see no results and
# viewers do not rate, so neither of the two includes the other.
REACH: dict[str, list[str]] = {
    Role.ADMIN: [Role.ADMIN],
    Role.ENGINEER: [Role.ADMIN, Role.ENGINEER],
    Role.RATER: [Role.ADMIN, Role.ENGINEER, Role.RATER],
    Role.VIEWER: [Role.ADMIN, Role.ENGINEER, Role.VIEWER],
    MEMBER: list(Role.values),
}
SESSION_KEY = "project"


def roles_at_least(role: str) -> list[str]:
    """The roles that may do what ``role`` may, the most powerful first."""
    return [str(each) for each in REACH[role]]


def may(request: HttpRequest, role: str) -> bool:
    """Whether the person's role in the current project is ``role`` or includes it."""
    return getattr(request, "role", None) in roles_at_least(role)


def demand(request: HttpRequest, role: str) -> None:
    """Raise PermissionDenied, with words for the person, unless ``may(request, role)``."""
    if not may(request, role):
        needed = Role(role).label
        raise PermissionDenied(
            _("This needs the role “%(role)s” in this project.") % {"role": needed}
        )


def demand_superuser(request: HttpRequest) -> None:
    """Raise PermissionDenied for everybody but the people who run the portal."""
    if not request.user.is_superuser:
        raise PermissionDenied(_("This is for the people who run the portal."))


def require(role: str) -> Callable[[View], View]:
    """Decorator: only people whose role is ``role`` or includes it reach the view."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            demand(request, role)
            return view(request, *args, **kwargs)

        return checked

    return decorate


def fetch(
    request: HttpRequest,
    rows: Manager[M] | QuerySet[M],
    role: str = Role.VIEWER,
    *,
    project: str = "project",
    **lookup: Any,
) -> M:
    """The one row of the current project that ``lookup`` finds; 404 without one.

    ``project`` is the path from the row to its project, such as ``run__project``.
    """
    found = get_object_or_404(rows, **{project: request.project}, **lookup)
    demand(request, role)
    return found


class ProjectMiddleware:
    """Set ``request.project``, ``request.role`` and ``request.memberships``.

    The project is the one last chosen (kept in the session), else the first by
    name. Who is a member nowhere sees a page that says so.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.project = request.role = None
        request.memberships = []
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: View, args: list[Any], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        if not request.user.is_authenticated:
            return None
        memberships = list(
            Membership.objects.filter(user=request.user)
            .select_related("project")
            .order_by("project__name")
        )
        if memberships:
            chosen = request.session.get(SESSION_KEY)
            current = next((m for m in memberships if m.project_id == chosen), memberships[0])
            request.project, request.role = current.project, current.role
            request.memberships = memberships
            return None
        if not getattr(view, "login_required", True):
            return None
        return render(request, "accounts/no_project.html", status=403)
