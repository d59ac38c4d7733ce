"""Services of the web as scripts of a test have them: see README.md."""
