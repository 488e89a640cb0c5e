"""Prompts of judges: their roles, what each may be filled with, and how it is filled."""
