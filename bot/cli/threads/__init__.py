"""The command ``threads``: finding, showing and changing what is kept."""
