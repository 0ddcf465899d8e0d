"""Servers and pools, each combination once: what does the witness see of it?"""
