"""promptcot: PromptCoT 2.0, complete."""

__version__ = "0.1.0"
