"""Containers: the engine, the compose file of a run, containers as child processes, and their removal."""
