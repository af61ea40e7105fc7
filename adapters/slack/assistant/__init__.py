"""What Slack gives to apps that are assistants: suggested prompts, a status line, App Home."""
