"""Markdown in Slack's own markup."""
