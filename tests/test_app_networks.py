"""The language of --model."""

import pytest

from app import networks
from app.config import Config


def test_options_are_the_networks_own_and_spelt_in_one_way():
    assert networks.canonical("biggan( hierarchical=true,shared_dim=16 )") == (
        "biggan(shared_dim=16, hierarchical=True)"
    )
    assert networks.canonical("stylegan2(mapping_layers=8)") == "stylegan2"
    text = "stylegan2(style_mixing=0, d_architecture=orig)"
    assert networks.canonical(text) == networks.canonical(networks.canonical(text)) == text


def test_each_network_gets_its_options():
    config = Config(
        model="stylegan2(mapping_layers=2, w_dim=8, d_architecture=orig, group_size=2)",
        width=4,
        latent_dim=6,
        seed=3,
    )
    generator, discriminator = networks.make(config, 3, None)
    assert (generator.mapping_layers, generator.w_dim, generator.architecture) == (2, 8, "skip")
    assert (discriminator.architecture, discriminator.width) == ("orig", 4)
    assert (generator.latent_dim, generator.seed, generator.num_classes) == (6, 3, None)
    generator, discriminator = networks.make(Config(model="biggan", width=2), 1, 5)
    assert generator.num_classes == discriminator.num_classes == 5
    assert generator.channels == discriminator.channels == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bigan", "Did you mean 'biggan'"),
        ("biggan(sharedim=1)", "Did you mean 'shared_dim'"),
        ("biggan(3)", r"by keyword: biggan\(shared_dim=...\)"),
        ("sndcgan(depth=3)", "sndcgan has no options"),
        ("stylegan2(mapping_layers=two)", "mapping_layers is int. Received: mapping_layers='two'"),
        ("stylegan2(architecture=orig)", "g_architecture"),
        ("biggan(attention=1.5)", "attention is int or none"),
        ("biggan,stylegan2", "A run has one model"),
        ("none", "A run has one model"),
        ("biggan(layout=compare_gn)", "biggan: Unknown layout .* Did you mean 'compare_gan'"),
        ("biggan(init=none)", "Unknown init 'none'. Choose from normal, orthogonal"),
        ("stylegan2(g_architecture=ski)", "Unknown g_architecture 'ski'. Did you mean 'skip'"),
        ("stylegan2(d_architecture=skip)", "Unknown d_architecture 'skip'. Choose from resnet"),
    ],
)
def test_mistakes_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        networks.canonical(text)
