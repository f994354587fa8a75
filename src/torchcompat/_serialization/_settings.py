"""Pickles of earlier releases name this module: see ``_moved``."""

from .._moved import attach as _attach

_attach(globals())
