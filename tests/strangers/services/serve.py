"""Becomes the service that the variable SERVICE names, as `commands.toml` has it: services share a run, as its arms."""

import os
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent

host, port = sys.argv[1:]
name = os.environ["SERVICE"]
started = tomllib.loads((HERE / "commands.toml").read_text())
command = started["servers"][started["services"][name]]
words = [word.format(python=sys.executable, host=host, port=port) for word in command]
os.chdir(HERE / name)
os.execv(words[0], words)
