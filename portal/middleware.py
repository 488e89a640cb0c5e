"""Language of the person, an honest answer to a script without session, no devices for pages."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils import translation

GetResponse = Callable[[HttpRequest], HttpResponse]


DEVICES = ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")


class PermissionsPolicyMiddleware:
    """No page of ours, nor anything smuggled into one, may ask for a camera or the like."""

    policy = ", ".join(f"{device}=()" for device in DEVICES)

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", self.policy)
        return response


class PersonLanguageMiddleware:
    """A person's own language goes before the cookie and the browser's wish."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and request.user.language in dict(settings.LANGUAGES):
            translation.activate(request.user.language)
            request.LANGUAGE_CODE = translation.get_language()
        return self.get_response(request)


class HtmxSignInMiddleware:
    """Send the page, not the part of it that polls, to the sign-in form.

    htmx follows a redirect silently and would put the form into the middle of
    the page; ``HX-Redirect`` makes the browser itself go there.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        asked_to_sign_in = response.status_code == 302 and response.headers.get(
            "Location", ""
        ).startswith(resolve_url(settings.LOGIN_URL))
        if asked_to_sign_in and request.headers.get("HX-Request"):
            page = request.htmx.current_url_abs_path or resolve_url("home")
            return HttpResponse(headers={"HX-Redirect": redirect_to_login(page).url})
        return response
