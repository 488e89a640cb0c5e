"""The pattern page: every part of the interface on one page, to look at and to test."""

from __future__ import annotations

from django import forms
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from portal.accounts.models import Role
from portal.accounts.permissions import require
from portal.ui import charts
from portal.ui.tables import sort_of

SCORES = [
    ("Rowan-24B-instruct", 0.731, 0.702, 0.759),
    ("Rowan-24B-instruct-2026-03-AWQ-int4", 0.718, 0.688, 0.747),
    ("Alder-7B", 0.552, 0.518, 0.586),
    ("Alder-1B", None, None, None),
]


QUESTION = "Welche Stadt ist die Hauptstadt von Thüringen?\nAntworten Sie mit einem Wort."
ANSWER = "<script>alert(1)</script> Erfurt 😀 – nicht das Donaudampfschifffahrtsgesellschaftsbüro"


class ExampleForm(forms.Form):
    name = forms.CharField(max_length=40, help_text="As it stands in tables.")
    address = forms.URLField(assume_scheme="https")
    kind = forms.ChoiceField(choices=[("a", "Open weights"), ("b", "Service")], required=False)
    answer = forms.ChoiceField(
        choices=[("y", "Yes"), ("n", "No")], widget=forms.RadioSelect, required=False
    )
    notes = forms.CharField(widget=forms.Textarea({"rows": 2}), required=False)
    active = forms.BooleanField(required=False, help_text="Inactive ones are not offered.")


@require(Role.ADMIN)
def patterns(request: HttpRequest) -> HttpResponse:
    bars = [
        charts.Bar(
            name, value, low, high,
            "not measured" if value is None else f"{value:.1%} [{low:.1%} – {high:.1%}], n = 900",
            colour=1 + (i > 1), href="#table" if i == 0 else "",
        )
        for i, (name, value, low, high) in enumerate(SCORES)
    ]  # fmt: skip
    latencies = charts.bins_of([80 + (i * 37 % 101) + (i * i % 89) for i in range(300)])
    return render(
        request,
        "ui/patterns.html",
        {
            "question": QUESTION,
            "answer": ANSWER,
            "forest": charts.forest(bars, "Overall score with 95 % interval"),
            "histogram": charts.histogram(latencies, "Latency of the answers", "ms"),
            "scores": SCORES,
            "sort": sort_of(request, {"name", "overall"}, "-overall"),
            "form": ExampleForm({"name": "Alder", "address": "nonsense", "answer": "y"}),
            "page": Paginator(range(1, 1000), 20).get_page(request.GET.get("page")),
        },
    )
