"""Killing runs: a program that kills itself in the middle of the commit protocol, and what drives it."""
