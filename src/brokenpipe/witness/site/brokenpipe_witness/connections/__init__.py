"""The plane of connections: one module for each driver. Pools of other libraries have theirs from them, too."""
