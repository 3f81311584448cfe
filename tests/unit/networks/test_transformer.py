"""The token transformer: what each token may see, and cached generation against the plain loop."""

import pytest
import torch
from torch.testing import assert_close

from smm_tutorial.networks import TokenTransformer
from tests.wrong_types import NO_SIZES

CODES, LENGTH, SLOTS, WIDTH = 7, 12, 3, 10


def make(sees_tokens=True):
    """A network with random weights that listens to tokens and slots, as a trained one does."""
    torch.manual_seed(0)
    network = TokenTransformer(CODES, LENGTH, WIDTH, 16, 2, 4, sees_tokens)
    with torch.no_grad():
        network.to_logits.bias.zero_()
        for block in network.blocks:
            for part in (block.to_tokens, block.to_slots):
                part.out.weight.mul_(5)
    return network.eval()


@pytest.fixture(params=[True, False], ids=["one by one", "all at once"])
def network(request):
    return make(request.param)


def draw(batch=4):
    generator = torch.Generator().manual_seed(1)
    slots = torch.randn(batch, SLOTS, WIDTH, generator=generator)
    return torch.randint(CODES, (batch, LENGTH), generator=generator), slots


def generate_slowly(network, slots, choose):
    """Recomputes all tokens for each new one."""
    tokens = torch.zeros(len(slots), LENGTH, dtype=torch.long)
    for place in range(LENGTH):
        tokens[:, place] = choose(network(tokens, slots)[:, place])
    return tokens


def test_cached_generation_equals_the_plain_loop_token_for_token(network):
    _, slots = draw()
    with torch.no_grad():
        slowly = generate_slowly(network, slots, lambda logits: logits.argmax(dim=1))
    assert torch.equal(network.generate(slots), slowly)
    assert len(slowly.unique()) > 2  # not one token everywhere


def test_a_token_depends_on_earlier_tokens_alone(network):
    tokens, slots = draw()
    changed = tokens.clone()
    changed[:, 5] = (changed[:, 5] + 1) % CODES
    with torch.no_grad():
        before, after = network(tokens, slots), network(changed, slots)
    differs = (before != after).any(dim=2).any(dim=0)  # (N,)
    assert not differs[:6].any()
    assert differs[6:].all() if network.sees_tokens else not differs.any()


def test_the_order_of_slots_does_not_matter_and_their_content_does(network):
    tokens, slots = draw()
    with torch.no_grad():
        logits = network(tokens, slots)
        assert_close(network(tokens, slots.flip(1)), logits)
        assert not torch.allclose(network(tokens, slots + torch.randn(WIDTH)), logits, atol=1e-2)


def test_a_beginning_is_kept_and_decides_what_follows():
    network = make()
    _, slots = draw()
    greedy = network.generate(slots)
    assert torch.equal(network.generate(slots, beginning=greedy[:, :5]), greedy)
    others = (greedy[:, :5] + 1) % CODES
    forced = network.generate(slots, beginning=others)
    assert torch.equal(forced[:, :5], others) and not torch.equal(forced[:, 5:], greedy[:, 5:])


def test_samples_follow_the_probabilities_and_the_seed(network):
    _, slots = draw(batch=1)
    many = slots.expand(4000, -1, -1)
    drawn = network.generate(many, 1.0, torch.Generator().manual_seed(0))
    again = network.generate(many, 1.0, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again)
    with torch.no_grad():
        first = network(torch.zeros(1, LENGTH).long(), slots)[0, 0].softmax(dim=0)
    shares = torch.bincount(drawn[:, 0], minlength=CODES) / 4000
    assert_close(shares, first, atol=0.03, rtol=0)
    assert torch.equal(
        network.generate(slots, 1e-4, torch.Generator().manual_seed(0)), network.generate(slots)
    )


def test_what_a_token_looks_at_sums_to_one_and_explains_the_last_block(network):
    tokens, slots = draw()
    with torch.no_grad():
        looks = network.look(tokens, slots)
        assert looks.shape == (4, LENGTH, SLOTS)
        assert_close(looks.sum(dim=2), torch.ones(4, LENGTH))
        last = network.blocks[-1].to_slots
        read = []

        def note(module, arguments, output):
            read.append((arguments, output))

        handle = last.register_forward_hook(note)
        network(tokens, slots)
        handle.remove()
        (x, keys, values), output = read[0]
        heads = last._split(last.to_queries(x)) @ keys.mT / keys.shape[3] ** 0.5
        assert_close(heads.softmax(dim=3).mean(dim=1), looks)
        assert_close(last.out((heads.softmax(dim=3) @ values).transpose(1, 2).flatten(2)), output)


@pytest.mark.parametrize("value", NO_SIZES, ids=repr)
@pytest.mark.parametrize("name", ["num_codes", "length", "slot_dim", "dim", "blocks", "heads"])
def test_what_is_no_size_is_refused_by_its_name(name, value):
    sizes = {"num_codes": 7, "length": 4, "slot_dim": 8}
    with pytest.raises(ValueError, match=f"^{name} must be a whole number"):
        TokenTransformer(**sizes | {name: value})


def test_what_does_not_fit_is_refused(network):
    tokens, slots = draw()
    with pytest.raises(ValueError, match=r"tokens must be \(batch, 12\) integers, got \(4, 11\)"):
        network(tokens[:, 1:], slots)
    with pytest.raises(ValueError, match="dim must be a multiple of heads = 4, got 18"):
        TokenTransformer(7, 4, 8, dim=18)
    with pytest.raises(ValueError, match="temperature must be 0, or above 0 with a generator"):
        network.generate(slots, temperature=1.0)
    with pytest.raises(ValueError, match="temperature must be 0"):
        network.generate(slots, -1.0, torch.Generator())


def test_no_token_sees_a_hidden_token():
    network = TokenTransformer(6, 9, 5, dim=8, blocks=2, heads=2).eval()
    tokens, slots = torch.randint(6, (2, 9)), torch.randn(2, 3, 5)
    hidden = torch.rand(2, 9) < 0.5
    others = torch.where(hidden, (tokens + 1) % 6, tokens)
    assert hidden.any() and not torch.equal(network(tokens, slots), network(others, slots))
    assert torch.equal(network(tokens, slots, hidden), network(others, slots, hidden))
    none = torch.zeros(2, 9, dtype=torch.bool)
    assert torch.equal(network(tokens, slots, none), network(tokens, slots))
