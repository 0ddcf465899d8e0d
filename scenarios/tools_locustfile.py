"""What users of a pooler do: use one of many tools, look at the answer, and read conversations between.

Each tool is a statement of its own, and its answer says which tool gave it on what. So an answer to somebody else's
question is seen, and is a failure with the words "wrong result", which are counted by themselves.
"""

import random

from locust import FastHttpUser, between, task

CONVERSATIONS = 50  # the agent seeds these
TOOLS = 4  # and has these


class ToolUser(FastHttpUser):
    """Someone who uses tools one after the other."""

    wait_time = between(0.5, 1.5)
    connection_timeout = 10.0
    network_timeout = 10.0

    @task
    def use_tool(self):
        """Use a tool, and check that the answer is the one to this question."""
        tool, conversation = random.randint(1, TOOLS), random.randint(1, CONVERSATIONS)
        with self.client.get(
            f"/tools/{tool}?conversation_id={conversation}", name="GET /tools/{tool}", catch_response=True
        ) as response:
            if response.status_code != 200:
                return  # a failure already
            asked, found = f"tool {tool} on Conversation {conversation}", response.json()["found"]
            if found != asked:
                response.failure(f"wrong result: asked {asked}, got {found}")
