"""Python interpreters of targets: which one an arm has, what is installed there, and packages of an arm's own."""
