"""What is published of the README: links and pictures that are found from anywhere."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

TARGET = re.compile(r"(?<=\]\()(?![a-z]+:|#)[^)\s]+")
"""Where a link or a picture leads, if that is a file of the repository."""

PICTURES = (".png", ".webp", ".gif")


class AbsoluteLinks(MetadataHookInterface):
    """Gives the README as it is, with links into the repository as it was at this version."""

    def update(self, metadata: dict[str, Any]) -> None:
        home, tag = metadata["urls"]["Homepage"], f"v{metadata['version']}"

        def absolute(target: re.Match[str]) -> str:
            kind = "raw" if target[0].endswith(PICTURES) else "blob"
            return f"{home}/{kind}/{tag}/{target[0]}"

        text = Path(self.root, "README.md").read_text("utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": TARGET.sub(absolute, text)}
