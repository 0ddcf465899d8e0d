"""The file that Locust is given with `-f`: one class for each user class of the user's file and each arm."""

from brokenpipe.load.bootstrap import begin

globals().update(begin())
