"""What kernels need so that the compiler vectorises their loops: a decorator, the machine's longest vectors, and an
exponential and a logarithm of elementary operations instead of library calls."""

from __future__ import annotations

import numpy as np
from numba import float32, njit, types
from numba.extending import intrinsic

# numpy's error model, since a check whether a divisor is 0 would keep a loop from being vectorised
_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}
vector = njit(**_OPTIONS, fastmath={"reassoc", "nsz", "contract"})
_exact = njit(**_OPTIONS, fastmath={"contract"})  # reassociation would fold the rounding away
_ROUND = np.float32(1.5 * 2**23)  # added to a float32 it leaves the nearest integer in the lowest bits


@intrinsic
def long_vectors(typing):
    """In a kernel: compile it by itself and with the longest vectors of the machine; LLVM prefers 256 bits of AVX-512."""

    def code(context, builder, signature, arguments):
        builder.function.attributes.add("noinline")
        set.add(
            builder.function.attributes, '"prefer-vector-width"="512"'
        )  # llvmlite's own add knows no such attribute
        return context.get_dummy_value()

    return types.void(), code


@_exact
def exp2(t):
    """2^t for float32 t below 64, relative error 1e-7 (a minimax polynomial on [-½, ½]); about 1e-38 for all below -126."""
    t = t if t > float32(-126.0) else float32(-126.0)
    rounded = t + _ROUND
    f = t - (rounded - _ROUND)
    y = float32(0.00132764719)
    y = y * f + float32(0.009675541334)
    y = y * f + float32(0.05550713274)
    y = y * f + float32(0.2402211972)
    y = y * f + float32(0.6931469671)
    y = y * f + float32(1.000000072)
    exponent = np.int32(np.float32(rounded).view(np.int32) << np.int32(23))
    return np.int32(np.float32(y).view(np.int32) + exponent).view(np.float32)


@_exact
def log(x):
    """The natural logarithm of a normal float32 above 0, error 1e-7 of max(1, |log x|).

    x = m 2^k with m in [√½, √2), and log m = 2 artanh s with s = (m - 1) / (m + 1), |s| < 0.172: five terms of its series.
    """
    bits = np.float32(x).view(np.int32)
    k = np.int32(np.int32(bits - np.int32(0x3F3504F3)) >> np.int32(23))
    m = np.int32(bits - np.int32(k << np.int32(23))).view(np.float32)
    s = (m - float32(1)) / (m + float32(1))
    q = s * s
    y = float32(2 / 9)
    y = y * q + float32(2 / 7)
    y = y * q + float32(2 / 5)
    y = y * q + float32(2 / 3)
    return float32(k) * float32(0.69314718) + (s * q * y + s + s)
