"""Optimizers: rules that turn gradients into steps of the parameters.

The chapter "Optimizers" introduces the classes of this module. Each is made with a list of arrays,
such as `Network.parameters`, and changes them in place, once for each call of `step(gradients)`.
With equal arguments each takes the steps of its namesake in `torch.optim`, whose defaults it has
(`torch.optim.SGD` as `SGD`, `Adagrad` as `AdaGrad`, `RMSprop` as `RMSProp`).

`learning_rate` may be set between two steps; see `cnnbook.schedules`. Parameters are float32 or
float64, and so are the arrays in which an optimizer remembers; an optimizer works on the arrays it
was given, so do not replace those of a network afterwards.
"""

import numpy as np

from cnnbook.optimizers_checks import (
    check_betas,
    check_momentum,
    check_parameters,
    check_positive,
    check_share,
    check_step,
    check_zero_or_more,
)


class Optimizer:
    """What all optimizers share: w loses the learning rate times a direction, which each defines.

    Parameters
    ----------
    parameters : list of arrays, float32 or float64
        Writable, none twice.
    learning_rate : float, at least 0
    weight_decay : float, at least 0
        So many times a parameter is added to its gradient, as a term weight_decay / 2 * w**2 in
        the loss would do. (In `AdamW` it acts otherwise.)

    Attributes
    ----------
    steps : int
        How many steps were taken.

    Raises
    ------
    ValueError
        If an argument is not as above; from `step`, if the gradients are not one real array for
        each parameter, of its shape. NaN is not looked for: in a gradient it makes the same
        number of the parameter NaN, and in an optimizer that remembers, for good.
    """

    def __init__(self, parameters, learning_rate, weight_decay=0.0):
        self.parameters = check_parameters(parameters)
        self.learning_rate = check_zero_or_more("learning_rate", learning_rate)
        self.weight_decay = check_zero_or_more("weight_decay", weight_decay)
        self.steps = 0

    def step(self, gradients):
        gradients = check_step(self, gradients)
        self.steps += 1
        for place, parameter in enumerate(self.parameters):
            gradient = self.with_decay(parameter, gradients[place])
            parameter -= self.learning_rate * self.direction(place, gradient)

    def with_decay(self, parameter, gradient):
        return gradient + self.weight_decay * parameter if self.weight_decay else gradient

    def memory(self):
        return [np.zeros_like(parameter) for parameter in self.parameters]


class SGD(Optimizer):
    """Gradient descent, with momentum v <- momentum * v + g if asked for.

    The direction is g without momentum, v with it, and g + momentum * v in Nesterov's form. NaN
    as in `Optimizer`.

    Parameters
    ----------
    parameters, learning_rate, weight_decay
        As in `Optimizer`.
    momentum : float, from 0 to below 1
    nesterov : bool
        Needs a momentum above 0.

    Raises
    ------
    ValueError
        If an argument is not as above.

    Source: Polyak (1964); Nesterov (1983) in the form of Sutskever, Martens, Dahl and Hinton, "On
    the importance of initialization and momentum in deep learning" (2013), section 2, with the
    parameters taken at the point that looks ahead, as torch does.
    """

    def __init__(self, parameters, learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(parameters, learning_rate, weight_decay)
        self.momentum, self.nesterov = check_momentum(momentum, nesterov)
        self.velocities = self.memory()

    def direction(self, place, gradient):
        velocity = self.velocities[place]
        velocity *= self.momentum
        velocity += gradient
        return gradient + self.momentum * velocity if self.nesterov else velocity


class AdaGrad(Optimizer):
    """The gradient divided by the root of the sum of all its squares so far.

    NaN as in `Optimizer`.

    Parameters
    ----------
    parameters, learning_rate, weight_decay
        As in `Optimizer`.
    epsilon : float, above 0
        Added to the root.

    Raises
    ------
    ValueError
        If an argument is not as above.

    Source: Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and
    stochastic optimization" (2011), the diagonal form.
    """

    def __init__(self, parameters, learning_rate=0.01, epsilon=1e-10, weight_decay=0.0):
        super().__init__(parameters, learning_rate, weight_decay)
        self.epsilon = check_positive("epsilon", epsilon)
        self.squares = self.memory()

    def direction(self, place, gradient):
        self.squares[place] += gradient**2
        return gradient / (np.sqrt(self.squares[place]) + self.epsilon)


class RMSProp(Optimizer):
    """The gradient divided by the root of a running mean of its squares.

    NaN as in `Optimizer`.

    Parameters
    ----------
    parameters, learning_rate, weight_decay
        As in `Optimizer`.
    decay : float, from 0 to below 1
        What the running mean keeps of itself at each step (torch: alpha).
    epsilon : float, above 0
        Added to the root.

    Raises
    ------
    ValueError
        If an argument is not as above.

    Source: Tieleman and Hinton, "Neural networks for machine learning" (2012), lecture 6.5.
    """

    def __init__(self, parameters, learning_rate=0.01, decay=0.99, epsilon=1e-8, weight_decay=0.0):
        super().__init__(parameters, learning_rate, weight_decay)
        self.decay = check_share("decay", decay)
        self.epsilon = check_positive("epsilon", epsilon)
        self.squares = self.memory()

    def direction(self, place, gradient):
        squares = self.squares[place]
        squares *= self.decay
        squares += (1 - self.decay) * gradient**2
        return gradient / (np.sqrt(squares) + self.epsilon)


class Adam(Optimizer):
    """A running mean of gradients divided by the root of one of their squares.

    Both means are corrected for their start at 0. NaN as in `Optimizer`.

    Parameters
    ----------
    parameters, learning_rate, weight_decay
        As in `Optimizer`.
    betas : pair of floats, from 0 to below 1
        What the two running means keep of themselves at each step.
    epsilon : float, above 0
        Added to the root, after its correction.

    Raises
    ------
    ValueError
        If an argument is not as above.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization" (2015), algorithm 1.
    """

    def __init__(
        self,
        parameters,
        learning_rate=0.001,
        betas=(0.9, 0.999),
        epsilon=1e-8,
        weight_decay=0.0,
    ):
        super().__init__(parameters, learning_rate, weight_decay)
        self.betas = check_betas(betas)
        self.epsilon = check_positive("epsilon", epsilon)
        self.means, self.squares = self.memory(), self.memory()

    def direction(self, place, gradient):
        mean, squares = self.means[place], self.squares[place]
        first, second = self.betas
        mean *= first
        mean += (1 - first) * gradient
        squares *= second
        squares += (1 - second) * gradient**2
        corrected = mean / (1 - first**self.steps)
        root = np.sqrt(squares / (1 - second**self.steps))
        return corrected / (root + self.epsilon)


class AdamW(Adam):
    """Adam with decoupled decay: each step first shrinks the parameters themselves.

    They are multiplied with 1 - learning_rate * weight_decay. NaN as in `Optimizer`.

    Parameters
    ----------
    parameters, learning_rate, betas, epsilon
        As in `Adam`.
    weight_decay : float, at least 0

    Raises
    ------
    ValueError
        If an argument is not as above.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization" (2019), algorithm 2; as
    in torch, the decay is multiplied with the learning rate.
    """

    def __init__(
        self,
        parameters,
        learning_rate=0.001,
        betas=(0.9, 0.999),
        epsilon=1e-8,
        weight_decay=0.01,
    ):
        super().__init__(parameters, learning_rate, betas, epsilon, weight_decay)

    def with_decay(self, parameter, gradient):
        parameter *= 1 - self.learning_rate * self.weight_decay
        return gradient
