"""Which torch does a code base need? The history of torch's API, and a checker that reads source with it.

Nothing here imports torch, nor torchcompat, which imports it: a checker starts at once, and runs where torch does not.
"""

__version__ = "0.1.0"
