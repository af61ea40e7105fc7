"""The ways by which Slack delivers: over HTTP."""
