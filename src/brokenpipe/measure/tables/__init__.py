"""What each arm did in each phase, counted: requests, latencies, pool usage, costs, connections, writes."""
