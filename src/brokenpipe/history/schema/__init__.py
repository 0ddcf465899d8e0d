"""The tables of a history: which columns each kind of line has."""
