"""numpy arrays for the C interface."""
import ctypes as c

import numpy as np

from . import _c


def ids(value, encode=None):
    """A contiguous int32 array of token ids. `encode` converts a text to ids."""
    if isinstance(value, str):
        if encode is None:
            raise _c.Error("the model has no tokenizer: expected token ids, found a text")
        return encode(value)
    array = np.asarray(value)
    if array.size == 0:
        return np.empty(0, np.int32)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise _c.Error(f"expected a text or a list of token ids, found an array of shape {list(array.shape)} and type "
                       f"{array.dtype}")
    if array.dtype != np.int32 and (array.min() < -2**31 or array.max() >= 2**31):
        raise _c.Error("expected token ids of 32 bits, found a larger number")
    return np.ascontiguousarray(array, np.int32)


def is_one(value):
    """Whether the argument is one text or one list of ids, not a list of several."""
    if isinstance(value, str) or (isinstance(value, np.ndarray) and value.ndim == 1):
        return True
    try:
        return not isinstance(value[0], (str, list, tuple, np.ndarray))
    except (IndexError, KeyError, TypeError):
        return False


def pointer(array):
    return array.ctypes.data_as(_c.Ids)


def lists(arrays):
    """The pointers and sizes of several arrays, for functions with an argument `const int32_t *const *`."""
    pointers = (c.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
    counts = (c.c_size_t * len(arrays))(*map(len, arrays))
    return pointers, counts, len(arrays)


def view(pointer, count, owner):
    """The memory of a result as an array, without a copy. The array keeps the result alive."""
    if count == 0:
        return np.empty(0, np.dtype(pointer._type_))
    memory = (pointer._type_ * count).from_address(c.addressof(pointer.contents))
    memory.owner = owner
    return np.frombuffer(memory, np.dtype(pointer._type_))


def borrowed(address, count, type):
    """Memory that the caller owns as an array, without a copy. It is valid as long as the caller says."""
    return np.frombuffer((type * count).from_address(address), np.dtype(type))


def matrix(result):
    """The only item of a result, [rows, columns] float32."""
    found = _c.item(result, "matrix", _c.Matrix)
    return view(found.values, found.rows * found.columns, result).reshape(found.rows, found.columns)
