"""The users: the user's locustfile, its classes for each arm, how many users of each, and their random numbers."""
