"""What the figures say: checks, comparisons between arms, a ranking, a recommendation, the headline."""
