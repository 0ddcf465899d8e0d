"""Detection of each fault while it is played: did a connection of the harness itself see its effect?"""
