"""Pickles of earlier releases name a module of this package: see ``_moved``."""
