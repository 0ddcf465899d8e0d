"""What the instrument itself costs: `make bench`. The figures, and what they mean: docs/performance.md."""
