"""`smm-tutorial data`: list, download, render, verify and look at data sets."""

import argparse
from functools import partial
from pathlib import Path

from smm_tutorial import datasets, paths
from smm_tutorial.arguments import name_some
from smm_tutorial.datasets.others import clevr, clevr_with_masks
from smm_tutorial.datasets.others.clevrtex import TOTALS
from smm_tutorial.datasets.others.sources import SOURCES
from smm_tutorial.datasets.own import clevr6, rendered
from smm_tutorial.datasets.transfer.disk import delete_file
from smm_tutorial.datasets.transfer.manifests import (
    discard_files,
    find_damaged_files,
    read_manifest,
)
from smm_tutorial.datasets.transfer.resumable_file import delete_download
from smm_tutorial.figures.pictures import contact_sheet_figure

#: Folders, below the downloads, in which `fetch` puts each data set that has a manifest.
FOLDERS = {
    "clevr": [clevr.FOLDER],
    "clevrtex": [f"clevrtex_{variant}" for variant in TOTALS],
    "shapestacks": ["shapestacks"],
    "coco": ["coco"],
}
PAPER_CROPPED = ("clevr", "clevr-with-masks", "clevr-renders", "clevrtex", "shapestacks")
#: Crops that make the images square, so that a preview does not distort them.
SQUARES = {"coco": "centre"} | dict.fromkeys(PAPER_CROPPED, "paper")


def add_to(commands: argparse._SubParsersAction) -> None:
    """Adds the command `data` and its actions."""
    actions = commands.add_parser(
        "data", help="download, render, check and look at data sets"
    ).add_subparsers(required=True, metavar="action")
    actions.add_parser(
        "list", help="which data sets there are, and what of them is here"
    ).set_defaults(run=list_data)

    download = actions.add_parser(
        "download", help="fetch the first images of a data set from its official address"
    )
    download.set_defaults(run=download_data)
    download.add_argument("name", choices=list(datasets.DOWNLOADS))
    download.add_argument("--split", help="default: train, or val for coco")
    download.add_argument("--count", type=int, default=100, help="how many images (default: 100)")
    download.add_argument("--variant", choices=list(TOTALS), help="of clevrtex (default: full)")
    download.add_argument("--folder", help="where to (default: the course's downloads)")
    download.add_argument(
        "--url", help="instead of the official address, for clevr and clevr-with-masks"
    )

    render = actions.add_parser("render", help="render scenes on this machine and keep them")
    render.set_defaults(run=render_data)
    render.add_argument("variant", choices=list(rendered.RENDERED_VARIANTS))
    render.add_argument("--split", choices=rendered.SPLITS, default="train")
    render.add_argument("--count", type=int, default=64, help="how many scenes (default: 64)")
    render.add_argument("--seed", type=int, default=0)
    render.add_argument(
        "--workers", type=int, default=1, help="processes that share the work (default: 1)"
    )

    verify = actions.add_parser(
        "verify", help="check every file that was embedded, downloaded or rendered"
    )
    verify.set_defaults(run=verify_data)
    verify.add_argument(
        "--delete", action="store_true", help="delete damaged files, to have them fetched again"
    )

    preview = actions.add_parser(
        "preview", help="a picture of the first images with their masks beside them"
    )
    preview.set_defaults(run=preview_data)
    preview.add_argument("name", choices=list(datasets.LOADERS))
    preview.add_argument("--split", default="train")
    preview.add_argument("--count", type=int, default=16, help="how many images (default: 16)")
    preview.add_argument("--size", type=int, default=128, help="pixels, of each (default: 128)")
    preview.add_argument(
        "--root", help="the data set's folder, where it is not in the course's downloads"
    )
    preview.add_argument("--variant", help="of clevrtex or rendered")
    preview.add_argument(
        "--output",
        type=Path,
        default=Path("preview.png"),
        help="the PNG file (default: preview.png)",
    )


def list_data(options: argparse.Namespace, command: str) -> None:
    packs = clevr6.read_provenance(clevr6.packs_folder())["files"]
    sizes = ", ".join(f"{pack['count']:,} {split}" for split, pack in packs.items())
    print(f"clevr6            embedded: scenes of 3 to 6 objects, 64 x 64, with masks: {sizes}")
    print(f"rendered          made here on demand: {', '.join(rendered.RENDERED_VARIANTS)}")
    for name, source in SOURCES.items():
        print(f"{name:17} {source.title}: {source.whole}. Licence: {source.licence}")
        print(f"{'':17} a download brings {source.fetches}; here: {_describe_downloads(name)}")
    print("clevr-renders     your own folder of renders with masks")
    print(f"downloads are in {paths.downloads_dir()}")


def download_data(options: argparse.Namespace, command: str) -> None:
    chosen = {key: getattr(options, key) for key in ("split", "count", "variant", "folder", "url")}
    chosen = {key: value for key, value in chosen.items() if value is not None}
    print(f"{options.name} is in {datasets.fetch(options.name, **chosen)}")


def render_data(options: argparse.Namespace, command: str) -> None:
    data = datasets.load(
        "rendered",
        split=options.split,
        variant=options.variant,
        count=options.count,
        seed=options.seed,
        workers=options.workers,
    )
    print(f"{data} in {rendered.renders_folder(None, options.variant)}")


def verify_data(options: argparse.Namespace, command: str) -> None:
    """Checks all packs, downloads and renders. Files of the user are never deleted.

    Raises `DatasetError` after all checks if any file is damaged.
    """
    downloads = paths.downloads_dir()
    checks = [_verify_packs]
    for name, folders in FOLDERS.items():
        checks += [partial(_verify_manifest, name, downloads / folder) for folder in folders]
    faults = []
    for check in (*checks, _verify_records, _verify_renders):
        try:
            faults += check(options.delete)
        except datasets.DatasetError as error:
            faults.append(str(error))
    if faults:
        raise datasets.DatasetError("; ".join(faults))


def preview_data(options: argparse.Namespace, command: str) -> None:
    amount = "count" if options.name == "rendered" else "limit"
    crop = SQUARES.get(options.name)
    chosen = {"root": options.root, "variant": options.variant, "crop": crop, amount: options.count}
    if options.name == "clevr" and options.split != "test":
        chosen["masks"] = True
    chosen = {key: value for key, value in chosen.items() if value is not None}
    data = datasets.load(options.name, split=options.split, size=options.size, **chosen)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet_figure(data).savefig(options.output, dpi=150)
    print(f"{data} in {options.output}")


def _records_file() -> Path:
    return paths.downloads_dir() / clevr_with_masks.FOLDER / clevr_with_masks.FILE


def _describe_downloads(name: str) -> str:
    """The amount of a data set in the downloads, in words."""
    if name == clevr_with_masks.NAME:
        path = _records_file()
        return f"{path.stat().st_size / 1e6:.1f} MB" if path.is_file() else "nothing"
    folders = [paths.downloads_dir() / folder for folder in FOLDERS.get(name, [])]
    manifests = [read_manifest(folder) for folder in folders]
    sizes = [size for manifest in manifests for size, _ in manifest.values()]
    return f"{len(sizes):,} files, {sum(sizes) / 1e6:.1f} MB" if sizes else "nothing"


def _verify_packs(delete: bool) -> list[str]:
    """Checks the embedded packs. They are never deleted, because they come with the course."""
    folder = clevr6.packs_folder()
    if damaged := clevr6.find_damaged_packs():
        return [f"{name_some(damaged)} in {folder} missing or damaged: {clevr6.REMEDY}"]
    print(f"clevr6: the packs in {folder} are whole")
    return []


def _verify_manifest(name: str, folder: Path, delete: bool) -> list[str]:
    count = len(read_manifest(folder))
    if not count:
        return []
    damaged = find_damaged_files(folder)
    print(f"{name}: {count - len(damaged):,} of {count:,} files in {folder} are whole")
    if not damaged:
        return []
    remedy = "run `smm-tutorial data verify --delete`, then"
    if delete:
        discard_files(folder, damaged)
        remedy = "deleted; run"
    return [
        f"{name_some(damaged)} in {folder} missing or damaged: "
        f"{remedy} `smm-tutorial data download {name}`"
    ]


def _verify_records(delete: bool) -> list[str]:
    path = _records_file()
    if not path.is_file():
        return []
    try:
        count = clevr_with_masks.count_examples(path)
    except datasets.DatasetError as error:
        if not delete:
            return [str(error)]
        if not clevr_with_masks.was_downloaded(path):
            return [f"{error}; no download wrote it as it is, so it stays"]
        delete_download(path)
        return [f"{error}; deleted"]
    print(f"clevr-with-masks: {count:,} examples in {path} are whole")
    return []


def _verify_renders(delete: bool) -> list[str]:
    folder = paths.downloads_dir() / rendered.FOLDER
    damaged = rendered.find_damaged_renders(folder) if folder.is_dir() else []
    if not damaged:
        return []
    for name in damaged if delete else ():
        delete_file(folder, name)
    again = "they are rendered again when next asked for"
    return [f"{name_some(damaged)} in {folder} damaged: {again}"]
