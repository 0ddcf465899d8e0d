"""Child processes and what ends them: the janitor, process trees, ports, temporary folders."""
