"""The tables, and what they hold from the beginning."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

SEED_CONVERSATIONS = 50


def seed(apps: Apps, _: BaseDatabaseSchemaEditor) -> None:
    """Conversations that users can continue, each with a message of both sides."""
    conversation, message = (apps.get_model("django_agent", name) for name in ("Conversation", "Message"))
    titles = [f"Conversation {number}" for number in range(1, SEED_CONVERSATIONS + 1)]
    seeded = conversation.objects.bulk_create(conversation(title=title) for title in titles)
    message.objects.bulk_create(
        message(conversation=each, role=role, content=f"{role} speaks in {each.title}")
        for each in seeded
        for role in ("user", "assistant")
    )


class Migration(migrations.Migration):
    """The first."""

    initial = True
    operations = (
        migrations.CreateModel(
            name="Conversation",
            fields=(
                (
                    "id",
                    models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("title", models.CharField(max_length=80)),
            ),
            options={"db_table": "conversations"},
        ),
        migrations.CreateModel(
            name="Message",
            fields=(
                (
                    "id",
                    models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "conversation",
                    models.ForeignKey("django_agent.conversation", on_delete=models.CASCADE, db_index=False),
                ),
                ("role", models.CharField(max_length=9)),
                ("content", models.TextField()),
            ),
            options={
                "db_table": "messages",
                "indexes": [models.Index(fields=["conversation", "id"], name="newest_messages")],
            },
        ),
        migrations.CreateModel(
            name="Memory",
            fields=(
                (
                    "id",
                    models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("key", models.CharField(max_length=200, db_index=True)),
                ("text", models.TextField()),
            ),
            options={"db_table": "memories"},
        ),
        migrations.RunPython(seed, migrations.RunPython.noop),
    )
