"""``torch.nn``: the classes whose constructor or forward changed after torch 1.2."""
