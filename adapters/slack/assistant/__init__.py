"""What Slack gives to agents: streams, its own Stop, suggested prompts, App Home."""
