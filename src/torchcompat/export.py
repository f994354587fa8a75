"""``torch.export`` on torch without it: names to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._absent import Names

if TYPE_CHECKING:
    from torch.export import AdditionalInputs as AdditionalInputs
    from torch.export import Constraint as Constraint
    from torch.export import CustomDecompTable as CustomDecompTable
    from torch.export import Dim as Dim
    from torch.export import ExportedProgram as ExportedProgram
    from torch.export import ExportGraphSignature as ExportGraphSignature
    from torch.export import FlatArgsAdapter as FlatArgsAdapter
    from torch.export import ModuleCallEntry as ModuleCallEntry
    from torch.export import ModuleCallSignature as ModuleCallSignature
    from torch.export import ShapesCollection as ShapesCollection
    from torch.export import UnflattenedModule as UnflattenedModule
    from torch.export import default_decompositions as default_decompositions
    from torch.export import dims as dims
    from torch.export import draft_export as draft_export
    from torch.export import export as export
    from torch.export import load as load
    from torch.export import register_dataclass as register_dataclass
    from torch.export import save as save
    from torch.export import unflatten as unflatten

_names = Names(globals(), "torch.export", "torch/export/__init__.py")
_names.types("Constraint ExportGraphSignature ExportedProgram ModuleCallEntry ModuleCallSignature", "2.1")
_names.types("Dim", "2.2")
_names.types("FlatArgsAdapter UnflattenedModule", "2.3")
_names.types("ShapesCollection", "2.4")
_names.types("CustomDecompTable", "2.6")
_names.types("AdditionalInputs", "2.8")
_names.functions("export load save", "2.1")
_names.functions("dims register_dataclass", "2.2")
_names.functions("unflatten", "2.3")
_names.functions("default_decompositions", "2.6")
_names.functions("draft_export", "2.8")
_names.attach()
