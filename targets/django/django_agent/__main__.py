"""Start the service: migrate the database, then become the server that SERVER names."""

import os
import sys

import django
from django.core.management import call_command

HOST, PORT = sys.argv[1:]
# Both: longer than any pause of the users, and no long wait for open streams at the end.
SERVERS = {
    "wsgi": ("gunicorn", "django_agent.wsgi:application", "--bind", f"{HOST}:{PORT}",
             # A thread is taken for as long as a request lasts, a stream's too: more of them than users of an arm.
             "--worker-class", "gthread", "--threads", "32", "--keep-alive", "75", "--graceful-timeout", "2"),
    "asgi": ("uvicorn", "django_agent.asgi:application", "--host", HOST, "--port", PORT, "--no-access-log",
             "--lifespan", "off", "--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "2"),
}  # fmt: skip

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_agent.settings")
django.setup()
call_command("migrate", verbosity=0)
# In its place: the server opens its own connections, in the processes that it forks.
os.execv(sys.executable, [sys.executable, "-m", *SERVERS[os.environ.get("SERVER", "wsgi")]])  # noqa: S606
