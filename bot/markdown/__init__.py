"""From Markdown to the messages of a platform: parse, cut, draw. Pure."""
