"""The European task set: families by languages by wordings, for lm-eval. Knows no Django."""
