"""Values over time: the charts, and the recovery after each fault."""
