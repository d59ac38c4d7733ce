"""Fails three calls deep, in a helper module."""

from steps.prepare import prepare

print("preparing")
prepare({"age": [31, 47], "height": [1.72]})
