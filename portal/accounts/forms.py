from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib.auth.forms import (
    AuthenticationForm,
    PasswordChangeForm,
    SetPasswordForm,
    UserCreationForm,
)
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.accounts import oidc
from portal.accounts.audit import COMMAND
from portal.accounts.models import Project, Role, Scope, User

# Help, not capitals and corrections, is what a name field on a phone needs.
NAME_FIELD = {"autocapitalize": "none", "spellcheck": "false"}


def say_rules(form: forms.Form, first: str, again: str) -> None:
    """One sentence below the new password instead of a list that stands inside a paragraph."""
    form.fields[first].help_text = _("At least ten characters; not common, not only digits.")
    form.fields[again].label, form.fields[again].help_text = _("The same again"), ""


class FaultsAtFirst:
    """What is wrong with a new password stands below it, not below its repetition."""

    def validate_password_for_user(
        self, user: User, password_field_name: str = "password2"
    ) -> None:
        super().validate_password_for_user(user, password_field_name.replace("2", "1"))


class SignInForm(AuthenticationForm):
    """Name and password; the field names are those that password managers know."""

    error_messages = {
        "invalid_login": _("Name or password is wrong. Check upper and lower case."),
        "inactive": _("This account is switched off. Ask an administrator of your project."),
    }

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("Name")
        self.fields["username"].widget.attrs |= NAME_FIELD


class JoinForm(FaultsAtFirst, UserCreationForm):
    """A new person behind an invitation chooses name and password."""

    class Meta:
        model = User
        fields = ["username"]

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("Name")
        self.fields["username"].help_text = _("You sign in with it. Letters, digits and @.+-_")
        self.fields["username"].widget.attrs |= NAME_FIELD
        say_rules(self, "password1", "password2")

    def clean_username(self) -> str:
        name = super().clean_username()
        if name and name.lower() == COMMAND:
            raise ValidationError(_("This name is used by the portal itself."))
        return name


class NewPasswordForm(FaultsAtFirst, SetPasswordForm):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        say_rules(self, "new_password1", "new_password2")


class ChangePasswordForm(FaultsAtFirst, PasswordChangeForm):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        say_rules(self, "new_password1", "new_password2")


class PersonForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ["username", "first_name", "last_name", "email"]

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("Name")
        self.fields["username"].help_text = _("With this you sign in.")
        self.fields["username"].widget.attrs |= NAME_FIELD
        if oidc.configured():
            # Whoever proves the address to the provider gets this account, so it is not
            # for the person alone to say which address that is.
            self.fields["email"].disabled = True
            self.fields["email"].help_text = _("Set when you were invited.")

    def clean_username(self) -> str:
        name = self.cleaned_data["username"]
        taken = User.objects.filter(username__iexact=name).exclude(pk=self.instance.pk)
        if taken.exists() or name.lower() == COMMAND:
            raise ValidationError(_("A person with this name exists already."))
        return name


class ProjectForm(forms.ModelForm):
    class Meta:
        model = Project
        fields = ["name"]
        labels = {"name": _("Name of the project")}
        error_messages = {"name": {"unique": _("A project with this name exists already.")}}


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)


class InvitationForm(forms.Form):
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.VIEWER)
    email = forms.EmailField(
        label=_("E-mail"),
        required=False,
        help_text=_("Becomes the address of the account. Nothing is sent: pass the link on."),
    )


class KeyForm(forms.Form):
    LIFETIMES = {
        "30": _("After 30 days"),
        "90": _("After 90 days"),
        "365": _("After a year"),
        "never": _("Never"),
    }

    name = forms.CharField(
        label=_("Name"), max_length=120, help_text=_("What uses it, such as “nightly CI”.")
    )
    scopes = forms.MultipleChoiceField(
        label=_("It may"),
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one.")},
    )
    days = forms.ChoiceField(label=_("It expires"), choices=list(LIFETIMES.items()), initial="90")

    @property
    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["days"]
        return None if days == "never" else timezone.now() + timedelta(days=int(days))


class AuditFilter(forms.Form):
    """What of the log is shown; a wrong date shows everything rather than an error page."""

    person = forms.ChoiceField(label=_("Who"), required=False)
    action = forms.ChoiceField(label=_("What"), required=False)
    since = forms.DateField(
        label=_("From"), required=False, widget=forms.DateInput({"type": "date"})
    )
    until = forms.DateField(label=_("To"), required=False, widget=forms.DateInput({"type": "date"}))

    def __init__(self, data: Any, *, people: list[str], actions: list[str]) -> None:
        super().__init__(data)
        self.fields["person"].choices = [("", _("everybody")), *((p, p) for p in people)]
        self.fields["action"].choices = [("", _("everything")), *((a, a) for a in actions)]

    def lookups(self) -> dict[str, Any]:
        self.is_valid()
        found = self.cleaned_data
        wanted = {
            "actor_name": found.get("person"),
            "action": found.get("action"),
            "at__date__gte": found.get("since"),
            "at__date__lte": found.get("until"),
        }
        return {name: value for name, value in wanted.items() if value}
