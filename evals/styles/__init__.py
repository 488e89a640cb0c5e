"""EuroEval-style tasks, pure: what is asked, in whose words, and what is read out of an answer."""
