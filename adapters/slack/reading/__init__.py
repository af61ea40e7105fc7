"""What a message says, whatever it is made of."""
