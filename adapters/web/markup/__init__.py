"""A reply's Markdown -> blocks of safe HTML, whole (``whole``) and while it grows (``growing``)."""
