"""Files that are attached to a question, read in a child process."""
