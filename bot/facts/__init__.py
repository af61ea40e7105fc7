"""Fact bases: folders of documents, indexed in SQLite, whose passages answer questions."""
