"""Statistics: intervals, tests and change points. Numbers in, numbers out: nothing here reads a history."""
