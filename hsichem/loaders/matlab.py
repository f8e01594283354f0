"""Real numeric arrays of a MATLAB file of version 5 to 7, uncompressed or deflated.

scipy.io.loadmat ends the whole process on a damaged type code (seen with scipy 1.17), so this part is read here.
The format: MathWorks, "MAT-File Level 5 File Format".
"""

import math
import struct
import zlib

import numpy as np

TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
MATRIX, DEFLATED = 14, 15
NUMERIC = range(6, 16)  # classes double to uint64; below them are cells, structs, text and sparse arrays
COMPLEX, LOGICAL = 0x800, 0x200
DEFLATE = 1100  # no n bytes inflate to more than about 1032 n


def open_arrays(raw: bytes):
    """A file's bytes -> ({name: shape}, load), load(name) being the array. Raises ValueError for a damaged file."""
    order = {b"IM": "<", b"MI": ">"}.get(bytes(raw[126:128]))
    if order is None:
        raise ValueError("no MATLAB file of version 5 to 7.3")
    found, at = {}, 128
    while at + 8 <= len(raw):
        kind, size = struct.unpack_from(order + "II", raw, at)
        body = raw[at + 8 : at + 8 + size]
        if kind not in (MATRIX, DEFLATED) or len(body) < size:
            raise ValueError(f"the element at byte {at} is unknown or cut short")
        is_deflated, at = kind == DEFLATED, at + 8 + size
        parts = _parts(_inflated(body, 4096, order) if is_deflated else body, order)
        flags = struct.unpack_from(order + "I", next(parts)[1])[0]
        shape = tuple(np.frombuffer(next(parts)[1], order + "i4").tolist())
        name = bytes(next(parts)[1]).decode("latin-1")
        if flags & 0xFF in NUMERIC and not flags & (COMPLEX | LOGICAL) and min(shape, default=-1) >= 0:
            found[name] = shape, body, is_deflated

    def load(name):
        shape, body, is_deflated = found[name]
        size = 8 * math.prod(shape) + 4096  # no number has more than 8 bytes
        *_, (kind, data) = _parts(
            _inflated(body, min(size, DEFLATE * len(body)), order) if is_deflated else body, order
        )
        return np.frombuffer(data, order + TYPES[kind]).reshape(shape, order="F")

    return {name: shape for name, (shape, _, _) in found.items()}, load


def _inflated(body, most: int, order: str) -> bytes:
    matrix = zlib.decompressobj().decompress(body, most)
    if struct.unpack_from(order + "I", matrix)[0] != MATRIX:
        raise ValueError("a deflated element is no array")
    return matrix[8:]


def _parts(matrix, order: str):
    """(type, bytes) of the flags, the shape, the name and, if it is whole, the real part."""
    at = 0
    for _ in range(4):
        kind, size = struct.unpack_from(order + "II", matrix, at)
        if kind >> 16:  # up to 4 bytes stand in the tag itself
            kind, size, start, at = kind & 0xFFFF, min(kind >> 16, 4), at + 4, at + 8
        else:
            start, at = at + 8, at + 8 + -(-size // 8) * 8
        yield kind, matrix[start : start + size]
