from django.db import migrations, models


def name_from_the_log(apps, schema_editor):
    """Who kept an import stands in the audit log; where its entry is gone, who brought it."""
    entries = apps.get_model("accounts", "AuditEntry").objects.filter(
        action="result.import", target_type="evals.import"
    )
    known = dict(entries.order_by("pk").values_list("target_id", "actor_name"))
    kept = apps.get_model("evals", "Import").objects.filter(confirmed_at__isnull=False)
    for found in kept.select_related("created_by"):
        brought = found.created_by.username if found.created_by else ""
        found.imported_by = known.get(str(found.pk), brought)
        found.save(update_fields=["imported_by"])


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_people_keys_audit"), ("evals", "0022_imported_columns")]

    operations = [
        migrations.AddField(
            model_name="import",
            name="imported_by",
            field=models.CharField(blank=True, max_length=300),
        ),
        migrations.RunPython(name_from_the_log, migrations.RunPython.noop),
    ]
