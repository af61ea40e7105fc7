"""Reading what people write: words, formatting, quoted material. Pure and total."""
