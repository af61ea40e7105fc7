"""Pages and feeds are fetched: from public addresses only, within limits, kept for minutes."""
