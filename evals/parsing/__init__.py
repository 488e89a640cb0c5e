"""What a model wrote, as a value: ratings and verdicts of a judge, scores of emotions."""
