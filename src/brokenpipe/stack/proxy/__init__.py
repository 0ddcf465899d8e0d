"""The Toxiproxy server: its binary, its process, its HTTP API and the proxy of each arm."""
