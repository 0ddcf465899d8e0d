"""What a user can type: one module for each group of commands. Only here anything is printed or a process ended."""
