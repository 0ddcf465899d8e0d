"""A request: intercepted, tracked to its end, classified and logged."""
