"""One folder per platform, loaded by name; see CONTRIBUTING.md for how to add one."""
