"""Addresses of the library."""

from books import views
from django.urls import include, path

urlpatterns = [
    path("health/", views.health),
    path("books/", include([path("", views.list_books), path("<int:book_id>/", views.read_book)])),
    path("loans/", views.lend),
]
