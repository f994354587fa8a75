"""The functions of torch's top level, by topic; ``torchcompat`` itself has the names."""
