"""Web services that a test scripts: see README.md."""
