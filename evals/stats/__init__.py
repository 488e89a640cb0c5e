"""Statistics over scores: pure functions on numbers and arrays, no Django and no database."""
