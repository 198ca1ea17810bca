"""`cladec audit`: does a classifier use a feature as a shortcut?"""

from pathlib import Path

import keras
import numpy as np

from cladec.commands.console import print_all, show
from cladec.commands.layer_settings import Auditing
from cladec.data.dataset import is_folder
from cladec.data.fitting_pictures import Fitting, fitted
from cladec.data.picture_lists import list_images, relative
from cladec.errors import InputError
from cladec.experiments.audits import Audit, audit
from cladec.models import cutting
from cladec.models.given import as_classifier


def run(settings: Auditing) -> None:
    """Audit a classifier; print what was found and the files written."""
    settings.check()
    found = audited(settings)
    files = found.save(settings.out)
    for region in found.recurring:
        show(
            f"class {region.label}: its strongest region changes {region.changed:.0%} of the "
            f"answers when it is replaced, and is alike to {region.alike:.0%}"
        )
    show(found.sentence)
    print_all(files)


def audited(settings: Auditing) -> Audit:
    """Load what the settings name, and return the audit.

    Raises:
        InputError: a file is missing or damaged, a mask belongs to no picture, or the data do not
            fit the classifier.
    """
    masks = None
    if settings.mask is not None:
        masks = _masks(settings, settings.mask, as_classifier(settings.classifier, **settings.form))
    return audit(
        settings.classifier,
        settings.dataset,
        patch=settings.patch,
        mask=masks,
        layer=settings.layer,
        images=settings.images,
        **settings.options,
    )


def _masks(settings: Auditing, place: Path, classifier: keras.Model) -> np.ndarray:
    """Return one mask (H, W) for all images, or one for each test image, (N, H, W), in [0, 1]."""
    fitting = Fitting((*cutting.image_shape(classifier)[:2], 1))
    if not place.is_dir():
        return _mask(place, fitting)
    if not is_folder(settings.dataset):
        raise InputError(
            f"--mask {place} is a folder, and --dataset {settings.dataset} is none: name one "
            "picture that is white where the feature is"
        )
    source = Path(settings.dataset)
    files = {path.relative_to(place).with_suffix(""): path for path in sorted(place.rglob("*.*"))}
    names = [Path(relative(source, path)).with_suffix("") for path, _ in list_images(source).test]
    if not any(name in files for name in names):
        raise InputError(
            f"--mask {place} has no picture of the name of a test picture, such as {names[0]}.png"
        )
    masks = np.zeros((len(names), *fitting.shape[:2]), np.float32)
    for number, name in enumerate(names):
        if name in files:
            masks[number] = _mask(files[name], fitting)
    return masks


def _mask(path: Path, fitting: Fitting) -> np.ndarray:
    return fitted(path, path, fitting).pixels[..., 0] / np.float32(255)
