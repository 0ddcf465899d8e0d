"""A whole Django project in one file: connections that threads keep, with and without health checks."""

import os
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

url = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    SECRET_KEY="none",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": url.path[1:],
            "USER": url.username,
            "PASSWORD": url.password,
            "HOST": url.hostname,
            "PORT": url.port,
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": bool(os.environ.get("HEALTH_CHECKS")),
        }
    },
)
django.setup()


def work(request):
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("select 1")
    return JsonResponse({})


def up(request):
    return JsonResponse({})


urlpatterns = [path("work", work), path("up", up)]
app = get_wsgi_application()
