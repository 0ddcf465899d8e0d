"""The watch: it sees from outside which process or server stands still, and limits how long anything waits for it."""
