"""The European task set: what there is, by language and family."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from evals import catalogue
from evals.catalogue import Choice
from evals.euro.entries import TITLES
from evals.words import ORIGINS, TASK_ABILITIES, WORDINGS
from portal.accounts.models import Role
from portal.accounts.permissions import require
from portal.ui.htmx import page_or_part


@require(Role.VIEWER)
def index(request: HttpRequest) -> HttpResponse:
    """All tasks of the set, or those that the address asks for. Loads no data."""
    choice = _choice(request)
    context = {
        "choice": choice,
        "found": catalogue.of(request.project, choice),
        "languages": catalogue.languages(),
        "families": TITLES.items(),
        "abilities": TASK_ABILITIES,
        "wordings": WORDINGS.items(),
        "origins": ORIGINS,
    }
    return page_or_part(request, "evals/european/index.html", context, part="tasks")


def _choice(request: HttpRequest) -> Choice:
    """The filter of the address; a value that there is not asks for everything."""
    known = {
        "language": catalogue.languages(), "family": list(TITLES),
        "wording": list(WORDINGS), "by": list(catalogue.AXES),
    }  # fmt: skip
    given = {name: request.GET.get(name, "") for name in known}
    return Choice(**{name: value for name, value in given.items() if value in known[name]})
