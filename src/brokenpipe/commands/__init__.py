"""The commands: one module for each group. Only these print and exit."""
