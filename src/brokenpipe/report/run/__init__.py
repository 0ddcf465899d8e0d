"""The report of one run: its page, its charts and the sentences and tables that they consist of."""
