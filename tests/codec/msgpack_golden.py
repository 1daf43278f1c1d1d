#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Writes msgpack_golden.h: the object of test_msgpack.c as python3-msgpack packs it.
#
#   python3 msgpack_golden.py >msgpack_golden.h && clang-format -i msgpack_golden.h
import msgpack


class F32(float):
    pass


class Struct(dict):
    """A map of names, or an array of the values."""


class Variant(tuple):
    """Number and name, and what it carries."""


def pack(x, arrays, numbers):
    def inner(y):
        return pack(y, arrays, numbers)

    p = msgpack.Packer()
    if isinstance(x, F32):
        return msgpack.packb(float(x), use_single_float=True)
    if isinstance(x, Variant):
        key = msgpack.packb(x[0] if numbers else x[1])
        return p.pack_map_header(1) + key + inner(x[2]) if len(x) == 3 else key
    if isinstance(x, Struct) and arrays:
        return p.pack_array_header(len(x)) + b"".join(inner(v) for v in x.values())
    if isinstance(x, dict):
        return p.pack_map_header(len(x)) + b"".join(msgpack.packb(k) + inner(v) for k, v in x.items())
    if isinstance(x, (list, tuple)):
        return p.pack_array_header(len(x)) + b"".join(inner(v) for v in x)
    return msgpack.packb(x)


def point(x, y, weight):
    return Struct(x=x, y=y, weight=F32(weight))


def node(value, children=(), following=None):
    return Struct(value=value, children=list(children), next=following)


zoo = Struct(
    flag=True, small=0xfe, medium=251, large=0x12345678, huge=2**64 - 1, minus=-5, depth=-126, height=-2**31,
    distance=2**63 - 1, ratio=F32(1.5), exact=-0.1, letter="\u2603", name="gr\u00fc\u00dfe", raw=b"\x00\xfa\xfb\xff",
    counts=[0, 250, 251, 65535, 65536, 2**32 - 1], names=["", "a", "\U0001f600"],
    points=[point(1, -1, 0.25), point(125, -126, -2.0)], limit=250, note=None, triple=[1, 255, 65535],
    origin=point(0, 32767, 3.0), shape=Variant((2, "Named", Struct(name="hex", sides=6))),
    shapes=[Variant((0, "Empty")), Variant((1, "Circle", 2.5))], map={"one": 1, "minus": -32769},
    tree=node(1, [node(2), node(3, [node(300)])], node(70000)))
edges = [0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63 - 1,
         -1, -32, -33, -128, -129, -32768, -32769, -2**31, -2**31 - 1, -2**63]
objects = {
    "zoo_named": pack(zoo, False, False),
    "zoo_arrays": pack(zoo, True, False),
    "zoo_numbers": pack(zoo, True, True),
    "edges": pack(edges, False, False),
}

print("/* SPDX-License-Identifier: Apache-2.0 OR MIT */")
print("/* Written by msgpack_golden.py with python3-msgpack %s. */" % ".".join(map(str, msgpack.version)))
print("#ifndef TESTS_CODEC_MSGPACK_GOLDEN_H\n#define TESTS_CODEC_MSGPACK_GOLDEN_H\n")
for name, data in objects.items():
    print("static const unsigned char %s[] = {" % name)
    print(", ".join("0x%02x" % b for b in data) + "};\n")
print("#endif")
