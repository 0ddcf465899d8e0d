"""Render: findings in, a page, a table, a summary out. Nothing here measures, and nothing here prints."""
