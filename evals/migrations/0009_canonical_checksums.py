from django.db import migrations

from evals import checksums

# As they were then: later fields are empty here, and empty ones do not count.
SUITE = ("slug", "version", "name", "description", "licence", "tags")
PLAIN = (
    "name", "title", "family", "language", "engine", "scoring", "metric", "tags", "options",
    "task", "cluster", "source",
)


def compute_anew(apps, schema_editor):
    """The checksum of a suite covers what it holds, no longer how its files are called."""
    suites, benchmarks = (apps.get_model("evals", name) for name in ("Suite", "Benchmark"))
    for suite in suites.objects.all():
        columns = benchmarks.objects.filter(suite=suite).order_by("position")
        found = columns.values_list(*PLAIN, "questions__sha256", "examples__sha256")
        content = {name: getattr(suite, name) for name in SUITE}
        content["benchmarks"] = [
            dict(zip((*PLAIN, "questions", "examples"), row, strict=True)) for row in found
        ]
        suites.objects.filter(pk=suite.pk).update(sha256=checksums.of_suite(content))


class Migration(migrations.Migration):

    dependencies = [
        ("evals", "0008_checks_with_versions"),
    ]

    operations = [
        migrations.RunPython(compute_anew, migrations.RunPython.noop),
    ]
