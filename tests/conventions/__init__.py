"""Rules of the project as tests: they read the tree rather than run the features."""
