"""What a run's parts are made from."""

from tf_diffaug.runs import Config, parts


class Watched:
    """A config that knows which of its settings were looked at."""

    def __init__(self, config):
        self._config, self.looked_at = config, set()

    def __getattr__(self, name):
        self.looked_at.add(name)
        return getattr(self._config, name)


def test_which_images_these_are_depends_on_all_that_loading_looks_at():
    config = Watched(Config(dataset="emoji_faces", resolution=8, num_images=4))
    parts.load_data(config)
    assert config.looked_at == {*parts.OF_IMAGES, "data_dir"}
