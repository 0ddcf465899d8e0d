"""What was found, as frozen values: findings, and every value that they consist of."""
