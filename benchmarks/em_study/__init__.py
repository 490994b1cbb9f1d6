"""Does EM over rationales help? Studies at several scales, each through the package's own code."""
