"""A small app with a job of its own, so that the machinery is tested without the evaluations."""
