"""From tokens to text: detokenizing, splitting off the reasoning, finding loops."""
