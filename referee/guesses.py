"""Answers that know nothing of their question: no test may give points for them."""


def no_number(*args, **kwargs):
    return float("nan")


def zero(*args, **kwargs):
    return 0


def no_elements(*args, **kwargs):
    import numpy

    return numpy.zeros((0, 1))


def refusal(parameters):
    def refuse(*args, **kwargs):
        raise ValueError(" ".join(parameters))

    return refuse


GUESSES = {
    "returns nan": lambda parameters: no_number,
    "returns 0": lambda parameters: zero,
    "returns np.zeros((0, 1))": lambda parameters: no_elements,
    "raises ValueError with the names of all parameters": refusal,
}
