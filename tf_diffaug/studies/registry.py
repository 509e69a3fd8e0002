"""Every study by name."""

from __future__ import annotations

from tf_diffaug.errors import UserError
from tf_diffaug.naming import unknown
from tf_diffaug.studies import differentiable_augmentation, image_augmentations, later
from tf_diffaug.studies.study import Study

STUDIES: dict[str, Study] = {
    study.name: study
    for module in (image_augmentations, differentiable_augmentation, later)
    for study in module.STUDIES
}


def get_study(name: str) -> Study:
    """A study by name.

    Raises:
        UserError: if there is none of that name.
    """
    if name not in STUDIES:
        raise UserError(unknown("study", name, STUDIES, received=name))
    return STUDIES[name]
