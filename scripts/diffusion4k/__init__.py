"""The library under the scripts: pure functions and small classes, one room a stage."""
