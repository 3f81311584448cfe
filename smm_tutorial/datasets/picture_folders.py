"""Which files of a folder are a data set's pictures, and which are other systems' own."""

from pathlib import Path

#: What macOS (._000001.png beside 000001.png, and __MACOSX in zip files) and network drives put
#: beside data, under the names of the data.
HIDDEN = (".", "__MACOSX", "@eaDir")


def find_pictures(folder: Path, pattern: str = "*.png") -> list[Path]:
    """The files below a folder that match the pattern, sorted; hidden ones are nobody's data."""
    depth = len(folder.parts)
    return sorted(
        path
        for path in folder.glob(pattern)
        if not any(part.startswith(HIDDEN) for part in path.parts[depth:])
    )
