"""The file for `locust -f`: one class for each arm and each user class of the user's locustfile."""

from brokenpipe.load.bootstrap import build_user_classes

globals().update(build_user_classes())
