"""The dense layer and its backward pass.

The chapter "Backpropagation through dense layers" introduces the functions of this module.
"""

from cnnbook.layers.dense_checks import check_dense, check_dense_backward


def dense(inputs, weights, bias=None):
    """Multiply each row of inputs by a matrix of weights and add the bias of each output.

    Parameters
    ----------
    inputs : array_like of real numbers, shape (N, in)
        One row an example; N may be 0.
    weights : array_like of real numbers, shape (in, out)
        The transpose of what `torch.nn.Linear` stores.
    bias : array_like of real numbers, shape (out,), or None for no bias

    Returns
    -------
    array, shape (N, out)
        In int64, exact, if all arguments hold whole numbers or bool; floats keep their type, and
        NumPy's rules say what a mixture becomes. A NaN of an input reaches all outputs of its row,
        a NaN of a weight or of a bias all rows of its output.

    Raises
    ------
    ValueError
        An argument is not as above, or a sum of whole numbers might pass the largest int64.

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 6.1.
    """
    inputs, weights, bias = check_dense(inputs, weights, bias)
    outputs = inputs @ weights
    return outputs if bias is None else outputs + bias


def dense_backward(upstream, inputs, weights):
    """Return the gradients of the inputs, the weights and the bias of `dense`.

    Parameters
    ----------
    upstream : array_like of real numbers, shape (N, out)
        The gradient of the loss with respect to the outputs.
    inputs : array_like of real numbers, shape (N, in)
    weights : array_like of real numbers, shape (in, out)

    Returns
    -------
    d_inputs : array, shape (N, in)
    d_weights : array, shape (in, out)
        Summed over the rows, all zero if N is 0.
    d_bias : array, shape (out,)
        Summed over the rows.
        Types are as in `dense`. A NaN of upstream reaches its row of d_inputs, its column of
        d_weights and its entry of d_bias; a NaN of an input reaches its row of d_weights, a NaN of
        a weight its column of d_inputs.

    Raises
    ------
    ValueError
        An argument is not as above, or a sum of whole numbers might pass the largest int64.

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 6.5.4.
    """
    upstream, inputs, weights = check_dense_backward(upstream, inputs, weights)
    return upstream @ weights.T, inputs.T @ upstream, upstream.sum(axis=0)
