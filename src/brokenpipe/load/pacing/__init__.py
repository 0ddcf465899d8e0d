"""When requests may start: the gate between phases, and the arrivals of an open load."""
