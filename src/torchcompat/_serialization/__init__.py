"""The machinery of ``torchcompat.load`` and ``torchcompat.save``.

A file is read in layers, each of which trusts nothing that the one below it hands up:

``_source``   a seekable file of known length: no read goes past its end
``_zip``      the records of a zip archive, ``_legacy`` the parts of a file in the older format: where each part lies
``_machine``  the pickle's opcodes, interpreted one by one; it imports nothing and calls only what it was given
``_budget``   how much memory the objects of a pickle may take
``_allowed``  what a pickle may name, and what is called for it
``_rebuild``  tensors from storages, every size checked against the storage
``_storages`` storages from bytes, on every torch
"""
