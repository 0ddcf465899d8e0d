"""A Django service in one file, WSGI and ASGI. It answers with a 500 of Django's own when something fails."""

import sys

import django
import work
from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES=getattr(work.pool, "DATABASES", {}),
    ROOT_URLCONF=__name__,
    SECRET_KEY="not one",
    WSGI_APPLICATION=f"{__name__}.wsgi",
)
django.setup()


def do(request, name):
    if name != "up":
        work.THREADED[f"/{name}"]()
    return HttpResponse("done")


async def do_async(request, name):
    await work.ASYNC[f"/{name}"]()
    return HttpResponse("done")


def streamed(request):
    def stream():
        yield "well, "
        work.THREADED["/select"]()
        yield "done"

    return StreamingHttpResponse(stream())


urlpatterns = [
    path("streamed", streamed),
    path("async/<name>", do_async),
    path("<name>", do),
]

from django.core.asgi import get_asgi_application  # noqa: E402 (after the settings)
from django.core.wsgi import get_wsgi_application  # noqa: E402

wsgi, asgi = get_wsgi_application(), get_asgi_application()

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    sys.modules["django_app"] = sys.modules["__main__"]
    execute_from_command_line(["django_app", "runserver", "--noreload", "--skip-checks", sys.argv[1]])
