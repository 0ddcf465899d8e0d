"""Secrets of a plan: variables passed on from the environment, taken out of what is stored, put back for a resume."""
