"""The slot modules that are compared."""

#: The slot modules that are compared, in either task, by name: which one, how many times as wide,
#: and its options. A slot of SMM holds means and variances, twice the numbers of Slot Attention's:
#: `attention-wide` has as many, `mixture-reduced` as few.
CONTESTANTS: dict[str, tuple[str, int, dict]] = {
    "attention": ("attention", 1, {}),
    "attention-wide": ("attention", 2, {}),
    "mixture-reduced": ("mixture", 1, {"content": "reduced"}),
    "mixture": ("mixture", 1, {}),
}
