"""The page in a real browser, before a real Parley whose model a test leads."""
