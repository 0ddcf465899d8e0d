"""`doctor`: is this machine able to measure, with child processes or with containers?"""
