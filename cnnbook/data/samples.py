"""A signal and a few photographs that other packages carry in their wheels, so offline too."""

PHOTOGRAPHS = ("camera", "astronaut", "chelsea", "coffee", "brick", "grass", "gravel", "coins")


def load_ecg():
    """Return an electrocardiogram of 1,024 samples, as a fresh float64 array of shape (1024,).

    Neither the unit (the values are whole numbers from -112 to 250) nor the sampling rate nor the
    origin of the recording is documented: label the axes "sample" and "amplitude".

    Raises
    ------
    ImportError
        If PyWavelets is not installed.

    Notes
    -----
    Source: `pywt.data.ecg()` of PyWavelets, which is under the MIT license and names no other one
    for this signal.
    """
    try:
        import pywt.data
    except ImportError as error:
        raise ImportError(_missing("load_ecg", "PyWavelets")) from error
    return pywt.data.ecg().astype("float64")


def load_photograph(name):
    """Return the photograph `name` as a fresh uint8 array, 0 (black) to 255 (white).

    Parameters
    ----------
    name : str
        Gray, (H, W): "camera" (512, 512), "brick" (512, 512), "grass" (512, 512), "gravel"
        (512, 512), "coins" (303, 384). Red, green and blue, (H, W, 3): "astronaut" (512, 512, 3),
        "chelsea", a cat (300, 451, 3), "coffee" (400, 600, 3).

    Raises
    ------
    ValueError
        If `name` is not one of these.
    ImportError
        If scikit-image is not installed.

    Notes
    -----
    Source: `skimage.data` of scikit-image, whose documentation says: "camera", "chelsea",
    "coffee", "brick", "grass" and "gravel" are under CC0, "astronaut" (a picture of NASA) is in
    the public domain, "coins" (Brooklyn Museum Collection) has no known copyright restrictions.
    """
    if not isinstance(name, str) or name not in PHOTOGRAPHS:
        raise ValueError(f"name was {name!r}; it must be one of {', '.join(PHOTOGRAPHS)}")
    try:
        import skimage.data
    except ImportError as error:
        raise ImportError(_missing("load_photograph", "scikit-image")) from error
    return getattr(skimage.data, name)()


def _missing(function, package):
    return f"{function} needs {package}; install it with: pip install {package}"
