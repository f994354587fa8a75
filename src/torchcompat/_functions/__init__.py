"""The names of torch's top level, in modules by topic; ``torchcompat`` itself is where they are public."""
