"""Tables of the library."""

from django.db import models


class Book(models.Model):
    """A book that is lent."""

    title = models.CharField(max_length=100)
    loans = models.IntegerField(default=0)
