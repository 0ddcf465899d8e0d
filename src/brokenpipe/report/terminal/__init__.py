"""What the terminal shows: progress, the end of a run, lists, advice and calibrations."""
