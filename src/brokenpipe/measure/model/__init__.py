"""Data model of the findings, as frozen values."""
