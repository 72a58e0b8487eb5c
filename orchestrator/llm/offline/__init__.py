"""A language model that needs no network: rules that read the documents and write what they found.

Documents become units (``structure``), units become findings (``findings``), findings become the text of an artifact
(``matrix``, ``scenarios``, ``scripts``). Everything but ``model`` is pure: the same documents give the same bytes.
"""

from orchestrator.llm.offline.model import OfflineModel

__all__ = ["OfflineModel"]
