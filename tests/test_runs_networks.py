"""The language of --model."""

import pytest

from tf_diffaug.runs import networks


def test_options_are_the_networks_own_and_spelt_in_one_way():
    assert networks.spell_model("biggan( hierarchical=true,shared_dim=16 )") == (
        "biggan(shared_dim=16, hierarchical=True)"
    )
    assert networks.spell_model("stylegan2(mapping_layers=8)") == "stylegan2"
    text = "stylegan2(style_mixing=0, d_architecture=orig)"
    assert networks.spell_model(text) == networks.spell_model(networks.spell_model(text)) == text


def test_each_network_gets_its_options():
    sizes = {"resolution": 32, "channels": 3, "width": 4, "latent_dim": 6}
    generator, discriminator = networks.make_networks(
        "stylegan2(mapping_layers=2, w_dim=8, d_architecture=orig, group_size=2)",
        num_classes=None,
        seed=3,
        **sizes,
    )
    assert (generator.mapping_layers, generator.w_dim, generator.architecture) == (2, 8, "skip")
    assert (discriminator.architecture, discriminator.width) == ("orig", 4)
    assert (generator.latent_dim, generator.seed, generator.num_classes) == (6, 3, None)
    generator, discriminator = networks.make_networks(
        "biggan", num_classes=5, seed=0, **{**sizes, "channels": 1}
    )
    assert generator.num_classes == discriminator.num_classes == 5
    assert generator.channels == discriminator.channels == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bigan", "Did you mean 'biggan'"),
        ("biggan(sharedim=1)", "Did you mean 'shared_dim'"),
        ("biggan(3)", r"by keyword: biggan\(shared_dim=...\)"),
        ("sndcgan(depth=3)", "depth.*latents"),
        ("sndcgan(latents=gamma)", "Unknown latents 'gamma'"),
        ("stylegan2(mapping_layers=two)", "mapping_layers is int. Received: mapping_layers='two'"),
        ("stylegan2(architecture=orig)", "g_architecture"),
        ("biggan(attention=1.5)", "attention is int or none"),
        ("fastgan:0", "fastgan has no options. Received: model='fastgan:0'"),
        ("fastgan(depth=1)", "fastgan has no options"),
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
        networks.spell_model(text)
