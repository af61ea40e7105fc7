"""Judging prompts: questions with checks, asked of personalities, models and servers."""
