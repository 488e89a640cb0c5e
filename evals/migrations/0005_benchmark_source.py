from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("evals", "0004_letter_scoring")]
    operations = [
        migrations.AddField(
            model_name="benchmark",
            name="source",
            field=models.JSONField(
                default=dict,
                help_text="Where the questions come from: repository, revision, licence.",
            ),
        )
    ]
