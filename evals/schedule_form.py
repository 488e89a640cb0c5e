"""The form of a schedule."""

from __future__ import annotations

from datetime import time
from typing import Any

from django import forms
from django.conf import settings
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext_lazy as _

from evals import runs, words
from evals.forms import BudgetForm, ChosenField, budget_initial, languages_of
from evals.models import Candidate, Schedule, Suite
from evals.models.schedules import Every
from evals.models.suites import Scoring


class ScheduleForm(BudgetForm):
    """What is measured again and again, and when."""

    suite = forms.ChoiceField(
        label=_("Suite"), help_text=_("Each time its newest version is measured.")
    )
    candidates = ChosenField(
        label=_("Models"),
        queryset=Candidate.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one model.")},
    )
    every = forms.ChoiceField(label=_("When"), choices=Every.choices, widget=forms.RadioSelect)
    at = forms.TimeField(
        label=_("Time of day"),
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )
    weekday = forms.TypedChoiceField(
        label=_("Day of the week"),
        required=False,
        choices=[("", "–"), *WEEKDAYS.items()],
        coerce=int,
        empty_value=None,
        help_text=_("Only with “Every week”."),
    )
    scoring = forms.ChoiceField(
        label=_("How to ask"),
        required=False,
        choices=[("", _("All benchmarks")), *Scoring.choices],
        help_text=_("Servers without log-probabilities can only do short answers."),
    )
    languages = forms.MultipleChoiceField(
        label=_("Languages"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Without a choice, all languages of the suite are asked."),
    )

    field_order = ["suite", "candidates", "every", "at", "weekday", "scoring", "languages"]

    def __init__(self, *args: Any, schedule: Schedule, **kwargs: Any) -> None:
        kwargs.setdefault("initial", _initial(schedule))
        super().__init__(*args, **kwargs)
        self.schedule = schedule
        project = schedule.project
        self.suites = {
            suite.slug: suite for suite in Suite.objects.in_project(project).order_by("version")
        }
        self.fields["suite"].choices = sorted(
            ((slug, words.titled(suite.name)) for slug, suite in self.suites.items()),
            key=lambda choice: choice[1],
        )
        self.fields["candidates"].queryset = Candidate.objects.in_project(project)
        self.fields["languages"].choices = languages_of(project)
        zone = {"zone": settings.TIME_ZONE}
        self.fields["at"].help_text = _("In the portal’s time zone, %(zone)s.") % zone

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        every, at = data.get("every"), data.get("at")
        if every in (Every.DAY, Every.WEEK) and at is None and "at" not in self.errors:
            self.add_error("at", _("Give the time of day."))
        if every == Every.WEEK and data.get("weekday") is None and "weekday" not in self.errors:
            self.add_error("weekday", _("Choose the day of the week."))
        if (suite := self.suites.get(data.get("suite", ""))) and (wanted := data.get("languages")):
            try:
                there = set(suite.benchmarks.order_by().values_list("language", flat=True))
                runs.check_languages(wanted, there)
            except runs.UnknownLanguages as error:
                self.add_error("languages", str(error))
        if "candidates" in data:
            self.check_prices(data["candidates"])
        return data

    def fill(self) -> Schedule:
        """The schedule with what was chosen, not saved."""
        given, made = self.cleaned_data, self.schedule
        timed = given["every"] != Every.CHANGE
        made.suite_slug, made.every = given["suite"], given["every"]
        made.at = given["at"] if timed else None
        made.weekday = given["weekday"] if given["every"] == Every.WEEK else None
        made.scoring, made.languages = given["scoring"], given["languages"]
        made.budget_tokens, made.budget_money = self.budget
        return made


def _initial(schedule: Schedule) -> dict[str, Any]:
    """What stands in the form of ``schedule`` before anything is changed."""
    if schedule.pk is None:
        return {"every": Every.DAY, "at": time(2)}
    chosen = schedule.models.filter(candidate__isnull=False)
    return {
        "suite": schedule.suite_slug,
        "candidates": list(chosen.values_list("candidate", flat=True)),
        "every": schedule.every,
        "at": schedule.at,
        "weekday": schedule.weekday,
        "scoring": schedule.scoring,
        "languages": schedule.languages,
        **budget_initial(schedule.budget),
    }
