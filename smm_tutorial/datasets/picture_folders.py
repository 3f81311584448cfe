"""Find a data set's pictures in a folder, without the hidden files of operating systems."""

from pathlib import Path

#: Names of files that macOS and network drives put beside data, such as ._000001.png beside
#: 000001.png, and __MACOSX in zip files.
HIDDEN = (".", "__MACOSX", "@eaDir")


def find_pictures(folder: Path, pattern: str = "*.png") -> list[Path]:
    """The files below a folder that match the pattern, sorted, without hidden files."""
    depth = len(folder.parts)
    return sorted(
        path
        for path in folder.glob(pattern)
        if not any(part.startswith(HIDDEN) for part in path.parts[depth:])
    )
