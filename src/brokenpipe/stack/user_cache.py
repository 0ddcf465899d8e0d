"""The user's cache folder: what is made once and used by every run. It may be deleted while nothing runs."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def user_cache_folder() -> Path:
    """Its path, whether or not it exists: XDG_CACHE_HOME/brokenpipe, or what the system has for it."""
    return platformdirs.user_cache_path("brokenpipe")
