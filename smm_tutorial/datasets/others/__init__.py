"""Data sets that other people made, in their official layouts.

Each file reads one data set, and most files also download it: `clevr` (its download is in
`clevr_download`), `clevr_renders`, `clevr_with_masks`, `clevrtex`, `shapestacks` and `coco`.
`sources` holds addresses, licences and citations.
"""
