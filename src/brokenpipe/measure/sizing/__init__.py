"""Pool size: the measured curve, and advice from it."""
