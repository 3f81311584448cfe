"""The titles of contestants and data sets in tables."""

#: Every contestant, in the order of tables.
CONTESTANT_TITLES = {
    "attention": "Slot Attention",
    "attention-wide": "Slot Attention, slots twice as wide",
    "mixture-reduced": "SMM, slots reduced",
    "mixture-fixed": "SMM, equal weights",
    "mixture": "SMM",
}
#: The sets of scenes that score models, by task, then by name. `{images}` stands for the number of
#: images. Records of version 1 contain these titles; see `records.upgrade_record`.
SET_TITLES = {
    "discovery": {
        "clevr6": "clevr6, test",
        "clevr7-10": "7 to 10 objects",
        "clevr-renders": "CLEVR in Blender, at most 6 objects",
        "clevr-renders-7-10": "CLEVR in Blender, 7 to 10 objects",
        "clevr-official": "CLEVR as released ({images} images)",
        "clevr-tex": "clevr-tex, test",
        "clevr-mirror": "clevr-mirror, test",
        "cogent-a": "cogent-a, test",
        "clevr6-whole": "clevr6-whole, test",
        "stacks": "stacks",
        "out-of-distribution-crowd": "out-of-distribution-crowd",
        "out-of-distribution-pairs": "out-of-distribution-pairs",
        "clevr": "CLEVR as released, held out of training ({images} images)",
        "clevr-with-masks": "CLEVR with masks, held out ({images} images)",
        "clevrtex": "ClevrTex, held out ({images} images)",
        "shapestacks": "ShapeStacks, held out ({images} images)",
        "coco": "COCO, held out ({images} images)",
        "folder": "own pictures, held out ({images} images)",
    },
    "set-prediction": {
        "clevr6-whole": "clevr6-whole, test",
        "clevr-whole": "clevr-whole, test",
        "clevr-renders": "CLEVR in Blender, at most 6 objects",
        "clevr-official": "CLEVR as released ({images} images, at most 6 objects)",
        "clevr": "CLEVR as released, held out of training ({images} images)",
    },
    "reconstruction": {
        "clevr-mirror": "clevr-mirror, test",
        "clevr6": "clevr6, test",
        "clevr-tex": "clevr-tex, test",
        "stacks": "stacks, test",
        "cogent-a": "cogent-a, test",
        "clevr6-whole": "clevr6-whole, test",
        "clevr7-10": "7 to 10 objects",
        "clevr-renders": "CLEVR in Blender, at most 6 objects",
        "clevr-renders-7-10": "CLEVR in Blender, 7 to 10 objects",
        "clevr-official": "CLEVR as released ({images} images)",
        "out-of-distribution-crowd": "out-of-distribution-crowd",
        "out-of-distribution-pairs": "out-of-distribution-pairs",
    },
}
SET_TITLES["tokenizer"] = SET_TITLES["reconstruction"]
