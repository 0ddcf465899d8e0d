"""Load from several processes: Locust's master, its workers, which users each has, and their clocks."""
