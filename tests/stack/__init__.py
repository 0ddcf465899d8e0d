"""The whole chain, as a user starts it: real processes, real failures, and nothing left behind."""
