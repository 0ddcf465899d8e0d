"""Processes that tests have started, or whose end they wait for."""

from __future__ import annotations

import psutil


def alive(process: psutil.Process) -> bool:
    """Is there anything left of it that could do something?"""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
