"""Artifacts and documents as people read them: text in, HTML or files out. No I/O.

What agents wrote and people uploaded is never trusted: whatever it says, the HTML made of it holds only elements and
attributes chosen here, loads nothing, and runs nothing.
"""

from realtime.material.filenames import attachment
from realtime.material.pages import DocumentPage, document_page
from realtime.material.rendering import Rendered, named_in, render
from realtime.material.sources import Sources

__all__ = ["DocumentPage", "Rendered", "Sources", "attachment", "document_page", "named_in", "render"]
