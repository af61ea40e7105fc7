"""From tokens to text: detokenizing, reasoning apart from the answer, repetition."""
