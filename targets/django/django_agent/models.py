"""Tables: conversations, the messages in them, and memories that outlive them; and every query on them."""

from django.db import models, transaction

HISTORY_LIMIT = 10
RECALL_LIMIT = 3


class Conversation(models.Model):
    """A thread of messages between one user and the agent."""

    title = models.CharField(max_length=80)

    class Meta:
        db_table = "conversations"


class Message(models.Model):
    """One thing said, by the user or by the assistant."""

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, db_index=False)
    role = models.CharField(max_length=9)
    content = models.TextField()

    class Meta:
        db_table = "messages"
        indexes = (models.Index(fields=["conversation", "id"], name="newest_messages"),)


class Memory(models.Model):
    """A fact worth keeping, under a key that the client chose."""

    key = models.CharField(max_length=200, db_index=True)
    text = models.TextField()

    class Meta:
        db_table = "memories"


def load_history(conversation_id: int) -> list[Message]:
    """The newest messages of a conversation, oldest first. Raises Conversation.DoesNotExist."""
    messages = list(Message.objects.filter(conversation_id=conversation_id).order_by("-id")[:HISTORY_LIMIT])
    if not messages:
        Conversation.objects.get(id=conversation_id)
    return messages[::-1]


@transaction.atomic
def store_turn(conversation_id: int | None, said: str, answer: str) -> Message:
    """Store what the user said and the answer, in a new conversation if there is none yet."""
    if conversation_id is None:
        conversation_id = Conversation.objects.create(title=said[:80]).id
    Message.objects.create(conversation_id=conversation_id, role="user", content=said)
    return Message.objects.create(conversation_id=conversation_id, role="assistant", content=answer)


def recall() -> list[str]:
    """The agent's tool: the newest memories, newest first."""
    return list(Memory.objects.order_by("-id").values_list("text", flat=True)[:RECALL_LIMIT])
