"""Data sets that others made, in their official layouts.

One file each reads a data set, and most also download it: `clevr` (its download is in
`clevr_download`), `clevr_renders`, `clevr_with_masks`, `clevrtex`, `shapestacks` and `coco`.
`sources` tells where they come from, their licences and whom to cite.
"""
