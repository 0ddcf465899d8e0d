"""The plane of pools: one module for each library that has a pool."""
