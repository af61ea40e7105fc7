"""Behind ``ReplyEditor``: a reply's messages, their pace and back-off, and spans of Markdown."""
