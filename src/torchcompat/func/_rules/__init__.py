"""The batching rules, by kind of operation. Importing a module registers its rules; see ``_batched``."""

from . import _attributes as _attributes
from . import _pointwise as _pointwise
