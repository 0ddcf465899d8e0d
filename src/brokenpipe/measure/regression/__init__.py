"""A run held against its baseline: is any rate or latency worse?"""
