"""The processes of Locust, seen from the harness: started, steered and ended."""
