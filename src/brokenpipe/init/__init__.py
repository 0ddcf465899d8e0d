"""`brokenpipe init`: what a repository says of its service, and the files that are made from it.

    repository ─▶ application, start command, interpreter, database variables, migrations, health, endpoints ─▶ files

A finder reads files and changes nothing. What it returns says where that stands, and whether it is a guess.
"""
