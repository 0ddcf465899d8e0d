"""Connections that show what a fault does to them: idle, fresh or in mid-transfer, as sockets or as sessions."""
