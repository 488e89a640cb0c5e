"""The JSON API under ``/api/v1/``: what all its operations share. Apps bring the operations.

An app names its router in its AppConfig (``api_router = "evals.api.router"``); the portal
mounts it and knows no app by import.
"""
