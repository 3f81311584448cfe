"""Addresses, licences and citations of the data sets that other people made."""

from __future__ import annotations

from dataclasses import dataclass

GOOGLE = "https://storage.googleapis.com/multi-object-datasets"
MULTI_OBJECT = "https://github.com/google-deepmind/multi_object_datasets"
OXFORD = "https://thor.robots.ox.ac.uk/datasets/clevrtex"
COCO = "https://s3.amazonaws.com/images.cocodataset.org"  # the host's own name has no certificate
#: The host offers http only, and its makers publish no checksums. The files are only data: they
#: never run, and their names and sizes are checked.
SHAPESTACKS = "http://shapestacks-file.robots.ox.ac.uk/static/download/v1"
UNKNOWN_LICENCE = "not stated where we looked: ask on the project's page before you share the data"


@dataclass(frozen=True)
class Source:
    """A data set that other people made.

    Args:
        title: its full name.
        homepage: the page of its makers.
        licence: of the data set.
        citation: the publication to cite.
        addresses: of its files, by a short name.
        whole: size of the whole data set, in words.
        fetches: what a download contains, in words.
    """

    title: str
    homepage: str
    licence: str
    citation: str
    addresses: dict[str, str]
    whole: str
    fetches: str


#: The data sets by their names in `datasets.load`.
SOURCES = {
    "clevr": Source(
        title="CLEVR v1.0",
        homepage="https://cs.stanford.edu/people/jcjohns/clevr/",
        licence="CC BY 4.0",
        citation="Johnson et al., CLEVR: A Diagnostic Dataset for Compositional Language and "
        "Elementary Visual Reasoning, CVPR 2017, arXiv 1612.06890",
        addresses={"archive": "https://dl.fbaipublicfiles.com/clevr/CLEVR_v1.0.zip"},
        whole="100,000 images, 18 GB",
        fetches="the first images of a split with their records, about 0.2 MB an image",
    ),
    "clevr-with-masks": Source(
        title="CLEVR (with masks)",
        homepage=MULTI_OBJECT,
        licence="Apache 2.0 (of its repository; the data has no statement of its own)",
        citation=f"Kabra et al., Multi-Object Datasets, 2019, {MULTI_OBJECT}",
        addresses={"records": f"{GOOGLE}/clevr_with_masks/clevr_with_masks_train.tfrecords"},
        whole="100,000 images with masks, 10.5 GB",
        fetches="the beginning of the one file, about 0.1 MB an image; later splits need all that "
        "comes before them",
    ),
    "clevrtex": Source(
        title="ClevrTex",
        homepage="https://www.robots.ox.ac.uk/~vgg/data/clevrtex/",
        licence=UNKNOWN_LICENCE,
        citation="Karazija, Laina, Rupprecht, ClevrTex: A Texture-Rich Benchmark for Unsupervised "
        "Multi-Object Segmentation, NeurIPS Datasets and Benchmarks 2021, arXiv 2111.10265",
        addresses={
            **{f"full{part}": f"{OXFORD}/clevrtex_full_part{part}.tar.gz" for part in range(1, 6)},
            **{variant: f"{OXFORD}/clevrtex_{variant}.tar.gz" for variant in ("outd", "camo")},
        },
        whole="50,000 images with masks in five archives of 4.7 GB, and variants",
        fetches="the beginnings of archives, about 0.5 MB an image",
    ),
    "shapestacks": Source(
        title="ShapeStacks",
        homepage="https://shapestacks.robots.ox.ac.uk",
        licence=UNKNOWN_LICENCE,
        citation="Groth, Fuchs, Posner, Vedaldi, ShapeStacks: Learning Vision-Based Physical "
        "Intuition for Generalised Object Stacking, ECCV 2018, arXiv 1804.08018",
        addresses={
            part: f"{SHAPESTACKS}/shapestacks-{part}.tar.gz" for part in ("meta", "rgb", "iseg")
        },
        whole="towers of 2 to 6 shapes, each seen by several cameras, in three archives",
        fetches="the lists of the splits, and archives as far as the towers you ask for lie in "
        "them",
    ),
    "coco": Source(
        title="COCO 2017",
        homepage="https://cocodataset.org",
        licence="annotations CC BY 4.0; each image under its own licence, named in its record",
        citation="Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014, "
        "arXiv 1405.0312",
        addresses={
            "annotations": f"{COCO}/annotations/annotations_trainval2017.zip",
            "train": f"{COCO}/zips/train2017.zip",
            "val": f"{COCO}/zips/val2017.zip",
        },
        whole="118,287 + 5,000 images, 19 GB",
        fetches="the annotations of a split (val 20 MB, train 450 MB on disk) and its first "
        "images, 0.2 MB each",
    ),
}

_announced: set[str] = set()


def announce(name: str) -> None:
    """Prints licence and citation of a data set, once per process."""
    if name in _announced:
        return
    _announced.add(name)
    source = SOURCES[name]
    print(
        f"{source.title}: licence {source.licence}. Please cite: {source.citation}. "
        f"See {source.homepage}"
    )
