from __future__ import annotations

from django.contrib.auth.forms import AuthenticationForm
from django.utils.translation import gettext_lazy as _


class SignInForm(AuthenticationForm):
    """Name and password; the field names are those that password managers know."""

    error_messages = {
        "invalid_login": _("Name or password is wrong. Check upper and lower case."),
        "inactive": _("This account is switched off. Ask an administrator of your project."),
    }

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("Name")
        # Help, not capitals and corrections, is what a name field on a phone needs.
        self.fields["username"].widget.attrs |= {"autocapitalize": "none", "spellcheck": "false"}
