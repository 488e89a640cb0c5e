"""What people and production say about the models.

Filled by the feedback features; the import contracts guard it already.
"""
