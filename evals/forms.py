"""Forms of the evaluation pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.core.validators import MinValueValidator
from django.db.models import BigIntegerField, QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from evals import budgets, candidates, euroeval, packs, runs, suites, words
from evals.boards import HEAVIEST
from evals.costs import MOST_TOKENS, Budget
from evals.formats.packs import public_key
from evals.imports import MOST_BYTES
from evals.llm.dialects import DIALECTS, GENERIC
from evals.llm.streaming import Prompt
from evals.models import Benchmark, Candidate, Price, Pricing, SavedBoard, Suite
from evals.models.imports import Kind
from evals.models.suites import Scoring
from evals.words import CORRECTIONS, language_name, word
from portal.accounts.models import Project
from portal.outbound import OutboundRefused

KEEP_KEY = "•" * 8  # shown instead of a stored key; sent back unchanged it means "keep"


class KeyInput(forms.PasswordInput):
    """Shows that a key is stored; what a person typed is never sent back to the page."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs, render_value=True)

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        return super().get_context(name, value if value == KEEP_KEY else None, attrs)


class CandidateForm(forms.ModelForm):
    """A candidate together with its endpoint."""

    languages = forms.CharField(
        label=_("Languages"),
        required=False,
        help_text=_("Codes, separated by commas: de, en, da"),
    )
    base_url = forms.CharField(
        label=_("Base URL"),
        max_length=500,
        help_text=_("Ends in /v1, for example http://gpu01:8000/v1"),
    )
    served_model = forms.CharField(
        label=_("Served model name"),
        max_length=300,
        help_text=_("As the server lists it under /v1/models"),
    )
    api_key = forms.CharField(
        label=_("API key"),
        required=False,
        widget=KeyInput(attrs={"autocomplete": "off"}),
        help_text=_("Stored encrypted. Forgotten when scheme, host or port of the URL change."),
    )
    concurrency = forms.IntegerField(
        label=_("Concurrency"),
        min_value=1,
        max_value=512,
        initial=64,
        help_text=_("Requests to the server at once, of all runs together"),
    )
    adaptive = forms.BooleanField(
        label=_("Find the best number"),
        required=False,
        initial=True,
        help_text=_(
            "Begins with few requests at once and adds more as long as that brings more answers "
            "in a second. The number above is then the most."
        ),
    )

    dialect = forms.ChoiceField(
        label=_("Server software"),
        required=False,
        choices=[(key, dialect.label) for key, dialect in DIALECTS.items()],
        initial=GENERIC,
        help_text=_("Only what this software understands is sent to it"),
    )

    context_tokens = forms.IntegerField(
        label=_("Context length"),
        required=False,
        min_value=0,
        max_value=100_000_000,
        help_text=_("Tokens; for servers that do not tell it. The check finds out if it is true."),
    )

    class Meta:
        model = Candidate
        fields = [
            "name", "base_model", "parameters", "quantisation", "licence", "languages", "notes",
        ]  # fmt: skip
        widgets = {"notes": forms.Textarea(attrs={"rows": 3})}
        help_texts = {
            "name": _("What your team calls it"),
            "quantisation": _("For example bf16, fp8, GPTQ-int4"),
        }

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        self.instance.project = project
        if self.instance.pk:
            endpoint = self.instance.endpoint
            self.initial |= {
                "languages": ", ".join(self.instance.languages),
                "base_url": endpoint.base_url,
                "served_model": endpoint.served_model,
                "concurrency": endpoint.concurrency,
                "adaptive": endpoint.adaptive,
                "dialect": endpoint.dialect,
                "context_tokens": endpoint.context_tokens,
                "api_key": KEEP_KEY if endpoint.key_encrypted else "",
            }

    def clean_languages(self) -> list[str]:
        return [code.strip() for code in self.cleaned_data["languages"].split(",") if code.strip()]

    def clean_base_url(self) -> str:
        url = self.cleaned_data["base_url"].strip().rstrip("/")
        try:
            candidates.outbound_policy().check_url(url)
        except OutboundRefused as error:
            raise forms.ValidationError(f"{gettext(error.reason)} {gettext(error.hint)}") from error
        return url

    def clean_name(self) -> str:
        name = self.cleaned_data["name"]
        others = Candidate.objects.in_project(self.project).exclude(pk=self.instance.pk)
        if others.filter(name=name).exists():
            raise forms.ValidationError(_("A model of this name exists already."))
        return name

    def clean_api_key(self) -> str:
        key = self.cleaned_data["api_key"]
        if key != KEEP_KEY and not (key.isascii() and key.isprintable()):
            raise forms.ValidationError(
                _("An API key holds only plain letters, digits and signs. Copy it once more.")
            )
        return key

    @property
    def endpoint_values(self) -> dict[str, Any]:
        """What the verbs take; ``api_key`` None means: keep the stored one."""
        key = self.cleaned_data["api_key"]
        return {
            "base_url": self.cleaned_data["base_url"],
            "served_model": self.cleaned_data["served_model"],
            "concurrency": self.cleaned_data["concurrency"],
            "adaptive": self.cleaned_data["adaptive"],
            "dialect": self.cleaned_data["dialect"] or GENERIC,
            "context_tokens": self.cleaned_data["context_tokens"] or 0,
            "api_key": None if key == KEEP_KEY else key,
        }


class ReplicaForm(forms.Form):
    """A further server of a model."""

    base_url = forms.CharField(
        label=_("Base URL"),
        max_length=500,
        help_text=_("Ends in /v1, for example http://gpu01:8000/v1"),
    )
    api_key = forms.CharField(
        label=_("API key"), required=False, widget=KeyInput(attrs={"autocomplete": "off"})
    )

    clean_base_url = CandidateForm.clean_base_url
    clean_api_key = CandidateForm.clean_api_key


class AmountField(forms.DecimalField):
    """A number with comma or point, whatever the language of page and browser.

    A number input drops the comma in some browsers, so that 0,20 becomes 20. What could be
    read in two ways (1,234 or 1.234,5) is refused rather than guessed.
    """

    widget = forms.TextInput

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip() if not isinstance(value, int | float) else str(value)
        if "," in text:
            if "." in text or text.count(",") > 1 or re.fullmatch(r"[1-9]\d*,\d{3}", text):
                raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
            text = text.replace(",", ".")
        return super().to_python(text or value)

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {"inputmode": "decimal", "autocomplete": "off"}


class PriceForm(forms.ModelForm):
    """What asking an endpoint costs from now on, in one of two ways."""

    class Meta:
        model = Price
        fields = [
            "pricing", "currency", "per_million_prompt", "per_million_answer", "per_gpu_hour",
            "gpus",
        ]  # fmt: skip
        widgets = {"pricing": forms.RadioSelect}
        field_classes = dict.fromkeys(
            ("per_million_prompt", "per_million_answer", "per_gpu_hour"), AmountField
        )
        help_texts = {
            "currency": _("Three letters, for example EUR or USD"),
            "per_million_prompt": _("When paid per token; 0 when free"),
            "per_million_answer": _("When paid per token; 0 when free"),
            "per_gpu_hour": _("When paid per GPU-hour: what one GPU costs for one hour"),
            "gpus": _("When paid per GPU-hour: how many GPUs the server uses"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["pricing"].choices = Pricing.choices
        for name in ("per_million_prompt", "per_million_answer", "per_gpu_hour"):
            self.fields[name].validators.append(MinValueValidator(0))
        self.fields["gpus"].validators.append(MinValueValidator(1))
        self.fields["gpus"].widget.attrs["min"] = 1

    def clean_currency(self) -> str:
        currency = self.cleaned_data["currency"].upper()
        if not re.fullmatch("[A-Z]{3}", currency):
            raise forms.ValidationError(_("Write three letters, for example EUR."))
        return currency

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        for name in candidates.PRICED_BY.get(data.get("pricing"), ()):
            if data.get(name) is None and name not in self.errors:
                self.add_error(name, _("This price needs it; write 0 when it is free."))
        return data

    def _post_clean(self) -> None:
        """The verb makes the row; its constraint is checked by ``clean`` in better words."""


class ChosenField(forms.ModelMultipleChoiceField):
    """Any number of rows; a number that no row can have is no choice, not an error of SQLite."""

    def _check_values(self, value: Any) -> Any:
        for pk in value:
            if str(pk).isdecimal() and int(str(pk)[:30]) > BigIntegerField.MAX_BIGINT:
                raise forms.ValidationError(
                    self.error_messages["invalid_choice"], "invalid_choice", {"value": pk}
                )
        return super()._check_values(value)


class FilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """One or several files, together within the size of an import."""

    widget = FilesInput

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        files = data if isinstance(data, list | tuple) else [data]
        found = [super(FilesField, self).clean(file, initial) for file in files or [None]]
        if sum(file.size for file in found) > MOST_BYTES:
            said = {"name": found[0].name, "size": MOST_BYTES >> 20}
            raise forms.ValidationError(words.TOO_LARGE % said)
        return found


class ImportForm(forms.Form):
    """Files with results of others."""

    file = FilesField(
        label=_("Files"),
        help_text=_(
            "lm-eval's results_….json with its samples_….jsonl (or a zip of them), EuroEval's "
            "result file (JSON lines), or a board as CSV in UTF-8."
        ),
    )


class SourceForm(forms.Form):
    """Who says so, where and when; a board of others tells none of it in its file."""

    source = forms.CharField(
        label=_("Source"),
        max_length=200,
        required=False,
        error_messages={"required": _("Write who publishes this board.")},
    )
    url = forms.CharField(
        label=_("Address"),
        max_length=500,
        required=False,
        help_text=_("Kept as text; the portal never opens it."),
    )
    dated = forms.DateField(
        label=_("Date of the results"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"required": _("Write of which day this board is.")},
    )

    def __init__(self, kind: str, *args: Any, **kwargs: Any) -> None:
        """``kind`` of the import (evals.models.imports.Kind): a board needs source and date."""
        super().__init__(*args, **kwargs)
        if kind != Kind.BOARD:
            return
        for name, hint in {
            "source": _("Who publishes the board, such as the name of its site"),
            "dated": _("The day the board states, or the day on which it was fetched"),
        }.items():
            self.fields[name].required = True
            self.fields[name].help_text = hint


class BudgetForm(forms.Form):
    """The most that a run may use."""

    budget_tokens = forms.IntegerField(
        label=_("Budget in tokens"),
        required=False,
        min_value=1,
        max_value=MOST_TOKENS,
        help_text=_("Prompts and answers of one run together. It stops there and can be resumed."),
    )
    budget_money = AmountField(
        label=_("Budget in money"),
        required=False,
        max_digits=16,
        decimal_places=6,
        validators=[MinValueValidator(Decimal("0.000001"))],
        help_text=_("For one run, in the currency of the model’s price."),
    )

    def check_prices(self, chosen: QuerySet[Candidate]) -> None:
        """Refuse a budget in money where one of ``chosen`` has no price."""
        if self.cleaned_data.get("budget_money") is None:
            return
        for candidate in chosen.filter(endpoint__prices__isnull=True):
            if found := budgets.fault(self.budget, None):
                self.add_error("budget_money", f"{candidate.name}: {found.sentence}")

    @property
    def budget(self) -> Budget:
        given = self.cleaned_data
        return Budget(given.get("budget_tokens"), given.get("budget_money"))


class RunForm(BudgetForm):
    """Which candidates to measure on which suite."""

    suite = forms.ModelChoiceField(label=_("Suite"), queryset=Suite.objects.none())
    candidates = ChosenField(
        label=_("Models"),
        queryset=Candidate.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one model.")},
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
    again = forms.BooleanField(
        label=_("Measure again"),
        required=False,
        help_text=_("Without it, a result that exists is shown and nothing is asked."),
    )

    field_order = ["suite", "candidates", "scoring", "languages", "again"]

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["suite"].queryset = Suite.objects.in_project(project)
        self.fields["candidates"].queryset = Candidate.objects.in_project(project)
        self.fields["languages"].choices = languages_of(project)

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if (suite := data.get("suite")) and (wanted := data.get("languages")):
            try:
                there = set(suite.benchmarks.order_by().values_list("language", flat=True))
                runs.check_languages(wanted, there)
            except runs.UnknownLanguages as error:
                self.add_error("languages", str(error))
        if "candidates" in data:
            self.check_prices(data["candidates"])
        return data


def budget_initial(budget: Budget) -> dict[str, Any]:
    """``budget`` as its fields show it."""
    money = None if budget.money is None else f"{budget.money.normalize():f}"
    return {"budget_tokens": budget.tokens, "budget_money": money}


def languages_of(project: Project) -> list[tuple[str, str]]:
    """The languages of all suites, by their names."""
    benchmarks = Benchmark.objects.filter(suite__project=project).order_by()
    codes = benchmarks.values_list("language", flat=True).distinct()
    return sorted(((code, language_name(code)) for code in codes), key=lambda choice: choice[1])


class BoardForm(forms.ModelForm):
    """What stands on a saved board; its weights are set once the benchmarks are known."""

    suites = ChosenField(
        label=_("Suites"),
        queryset=Suite.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one suite.")},
    )
    languages = forms.MultipleChoiceField(
        label=_("Languages"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Without a choice, all languages."),
    )
    tags = forms.MultipleChoiceField(
        label=_("Use cases"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Benchmarks with any of them; without a choice, all."),
    )
    correction = forms.ChoiceField(
        label=_("Correction of ranks"),
        choices=CORRECTIONS.items,
        help_text=_(
            "Holm: no false difference on the whole board. Benjamini–Hochberg finds more; one in "
            "twenty of its differences may be false."
        ),
    )

    class Meta:
        model = SavedBoard
        fields = ["name", "slug", "suites", "languages", "tags", "correction"]
        help_texts = {"slug": _("Small letters, digits and hyphens; part of the board's link")}

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        self.fields["suites"].queryset = Suite.objects.in_project(project)
        benchmarks = list(
            Benchmark.objects.filter(suite__project=project).order_by().only("language", "tags")
        )
        codes = sorted({benchmark.language for benchmark in benchmarks})
        tags = sorted({tag for benchmark in benchmarks for tag in benchmark.tags})
        self.fields["languages"].choices = [(code, language_name(code)) for code in codes]
        self.fields["tags"].choices = [(tag, word(tag)) for tag in tags]

    def clean_slug(self) -> str:
        slug = self.cleaned_data["slug"]
        others = SavedBoard.objects.filter(project=self.project).exclude(pk=self.instance.pk)
        if others.filter(slug=slug).exists():
            raise forms.ValidationError(_("A board of this address exists already."))
        return slug


def weights_of(
    given: Mapping[str, str], benchmarks: Iterable[Benchmark]
) -> tuple[dict[int, float], list[str]]:
    """The weights of a form by benchmark id, "0,5" too, and what is wrong with the others."""
    found: dict[int, float] = {}
    faults: list[str] = []
    for benchmark in benchmarks:
        text = given.get(f"w{benchmark.pk}", "1").strip()
        try:
            weight = float(text.replace(",", "."))
        except ValueError:
            weight = -1.0
        if 0 <= weight <= HEAVIEST:
            found[benchmark.pk] = weight
        else:
            faults.append(
                gettext("%(name)s: %(text)s is no weight. Write a number from 0 to 1000.")
                % {"name": benchmark.name, "text": text[:40]}
            )
    if not faults and found and not any(found.values()):
        faults.append(gettext("At least one benchmark must weigh more than 0."))
    return found, faults


class PlaygroundForm(forms.Form):
    """One prompt and how to sample the answers; which models are asked, the page says itself."""

    prompt = forms.CharField(
        label=_("Prompt"), max_length=100_000, widget=forms.Textarea(attrs={"rows": 5})
    )
    system = forms.CharField(
        label=_("System prompt"),
        max_length=20_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    temperature = forms.FloatField(
        label=_("Temperature"),
        min_value=0,
        max_value=2,
        initial=0.0,
        widget=forms.NumberInput(attrs={"step": 0.1}),
    )
    max_tokens = forms.IntegerField(
        label=_("Tokens at most"), min_value=1, max_value=16_384, initial=512
    )
    seed = forms.IntegerField(label=_("Seed"), min_value=0, max_value=2**31 - 1, required=False)

    @property
    def asked(self) -> Prompt:
        """What the models are asked."""
        given = self.cleaned_data
        system = [{"role": "system", "content": given["system"]}] if given["system"] else []
        return Prompt(
            messages=[*system, {"role": "user", "content": given["prompt"]}],
            max_tokens=given["max_tokens"],
            temperature=given["temperature"],
            seed=given["seed"],
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What stands in the form the next time: all but the prompt."""
        return {name: value for name, value in self.cleaned_data.items() if name != "prompt"}


class PackForm(forms.Form):
    """A data pack from this person's disk, checked as a whole."""

    file = forms.FileField(
        label=_("Data pack"),
        max_length=200,
        help_text=_("A file that another portal has exported; its name ends in .pack.zip"),
        widget=forms.ClearableFileInput(attrs={"accept": ".zip"}),
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > packs.MOST_UPLOADED:
            most = packs.MOST_UPLOADED // 2**20
            said = _("Larger than %(most)d MiB. Operators can import it by a command.")
            raise forms.ValidationError(said % {"most": most})
        try:
            packs.read(file)
        except (packs.PackInvalid, suites.SuiteInvalid) as error:
            raise forms.ValidationError(words.told(error)) from error
        return file


class TrustForm(forms.Form):
    """The public key of another installation."""

    name = forms.CharField(
        label=_("Name"), max_length=120, help_text=_("Whose it is, such as “Munich”")
    )
    key = forms.CharField(
        label=_("Public key"),
        max_length=100,
        help_text=_("44 signs, from the page “Keys of data packs” there"),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_key(self) -> str:
        try:
            public_key(self.cleaned_data["key"])
        except packs.PackInvalid as error:
            raise forms.ValidationError(_("A public key has 44 signs and ends in “=”.")) from error
        return self.cleaned_data["key"]


class EuroEvalForm(forms.Form):
    """Which of EuroEval's data sets, and which of their splits."""

    datasets = forms.CharField(
        label=_("Data sets"),
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=_("EuroEval's names, apart by commas or blanks: sb10k, scala-de, germeval"),
    )
    test_split = forms.BooleanField(
        label=_("Test split"),
        required=False,
        initial=True,
        help_text=_("As EuroEval's own boards use it; without it the smaller validation split."),
    )

    def clean_datasets(self) -> list[str]:
        try:
            return euroeval.names(self.cleaned_data["datasets"])
        except euroeval.EuroEvalRefused as error:
            raise forms.ValidationError(str(error)) from error
