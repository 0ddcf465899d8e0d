"""A small AI agent service: conversations, a simulated LLM, memories, all kept in Postgres."""
