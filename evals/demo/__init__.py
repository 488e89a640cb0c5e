"""The demo: two tiny models made here, the suite that tells them apart, and their servers.

What runs inside the model environment (``train`` and what it imports) needs neither
Django nor anything else of the portal.
"""
