"""Settings, from the environment."""

from starlette.config import Config

config = Config()
DSN = config("NOTES_DSN", default="postgresql://localhost/notes")
