"""Paths, the same as the sample agent's."""

from django.urls import path

from django_agent import views

urlpatterns = [
    path("healthz", views.healthz),
    path("chat", views.chat),
    path("chat/stream", views.chat_stream),
    path("conversations/<int:conversation_id>", views.read_conversation),
    path("memories", views.remember),
]
