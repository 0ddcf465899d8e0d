"""What is to be run: the scenario, the target and the timeline, parsed strictly and frozen."""
