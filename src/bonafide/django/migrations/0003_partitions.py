"""Split the large tables by hash, on PostgreSQL alone (ADR 10). Nothing changes for the models.

Tables that were split before (docs/how-to/postgresql.md) stay as they are; those with too many rows for this are
refused before anything is touched.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from bonafide.django import partitions


def split(_apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        partitions.rebuild(schema_editor, split=True, most_rows=partitions.MOST_ROWS_UNDER_LOCK)


def join(_apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        partitions.rebuild(schema_editor, split=False, most_rows=None)


class Migration(migrations.Migration):

    dependencies = [
        ('bonafide', '0002_gates_openings_sealed_secrets'),
    ]

    operations = [
        migrations.RunPython(split, join),
    ]
