"""The activities that Parley sends: messages, cards and streams."""
