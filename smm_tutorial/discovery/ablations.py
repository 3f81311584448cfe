"""Object discovery with something left out."""

# see `ReconstructionLoss`; of the order of the squared error that is left when objects are found
OBJECT_PRICE = 0.001
_BARE = {"objective": "squared_error", "price": 0.0, "num_slots": None}
#: The run with something left out, or `complete`, by name: options of the network, and of the loss.
#: `random-start` has torch's random weights in the slots; `bare` has none of the other choices, and
#: `bare-one-pixel` a decoder besides that sees a pixel. `quiet-colours` has an encoder that hardly
#: sees colour beside position.
VARIANTS: dict[str, tuple[dict, dict]] = {
    "complete": ({}, {}),
    "no-price": ({}, {"price": 0.0}),
    "no-share": ({"mask_prior": "none"}, {}),
    "squared-error": ({}, {"objective": "squared_error"}),
    "no-fewer-slots": ({}, {"num_slots": None}),
    "quiet-colours": ({"contrast": 0.04}, {}),
    "random-start": ({"slot_options": {"gradient": "last"}}, {}),
    "bare": ({"mask_prior": "none"}, _BARE),
    "bare-one-pixel": ({"mask_prior": "none", "decoder": "pixel"}, _BARE),
}
