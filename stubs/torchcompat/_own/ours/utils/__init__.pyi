# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
