"""Files, pages and feeds become text, in a child process of their own."""
