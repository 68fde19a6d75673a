#!/usr/bin/env python3
"""Writes pack-v1.json: pack files made from the text of ARCHITECTURE.md ("Pack file, version 1") alone.

An implementation of its own in another language, so that the vectors do not repeat the code they test.
Run: python3 test/vectors/pack.generate.py > test/vectors/pack-v1.json
"""
import hashlib
import json
import struct


def sha256(data):
    return hashlib.sha256(data).digest()


def make(name, kind, codec, records, stripe=None):
    head = b"KWAMPACK" + bytes([1, 1 if kind == "chunks" else 2]) + b"\0\0" + struct.pack("<I", 128) + codec
    if stripe is None:
        head += bytes(64)
    else:
        head += bytes.fromhex(stripe["pack"]) + struct.pack("<Q", stripe["packBytes"])
        matrix = {"vandermonde": 1, "cauchy1": 2, "lrc": 3}[stripe["matrix"]]
        head += bytes([stripe["dataShards"], stripe["parityShards"], matrix, stripe["shardIndex"]])
        head += bytes([stripe.get("localGroups", 0)]) + bytes(19)
    assert len(head) == 112
    head += sha256(head)[:16]
    body = b""
    index = b""
    listed = []
    for kind_of_record, payload in records:
        listed.append({"type": kind_of_record, "payload": payload.hex(), "offset": 128 + len(body)})
        entry = struct.pack("<II", len(payload), kind_of_record) + sha256(payload)
        index += entry
        body += entry + payload
    pack_id = sha256(head + index)
    tail = b"KWAMTAIL" + struct.pack("<IBxxxQ8x", len(records), 1, len(index)) + pack_id
    assert len(tail) == 64
    result = {"name": name, "kind": kind, "codecId": codec.hex(), "records": listed}
    if stripe is not None:
        result["stripe"] = stripe
    result.update(id=pack_id.hex(), file=(head + body + index + tail).hex())
    return result


codec = bytes(range(32))
packs = [
    make("hello", "chunks", codec, [(1, b"hello")]),
    make("chunks and a manifest part", "chunks", codec, [(1, b"a" * 100), (1, b"\0"), (2, b'{"files":[]}')]),
    make(
        "parity shard",
        "shard",
        codec,
        [(3, bytes(64)), (3, bytes(64)), (3, bytes(range(64)))],
        {
            "pack": sha256(b"pack").hex(),
            "packBytes": 33554432,
            "dataShards": 4,
            "parityShards": 2,
            "matrix": "cauchy1",
            "shardIndex": 5,
        },
    ),
    make(
        "local parity shard",
        "shard",
        codec,
        [(3, bytes(range(64)))],
        {
            "pack": sha256(b"pack").hex(),
            "packBytes": 700,
            "dataShards": 12,
            "parityShards": 4,
            "matrix": "lrc",
            "localGroups": 2,
            "shardIndex": 12,
        },
    ),
]
print(json.dumps({"origin": "test/vectors/pack.generate.py", "packs": packs}, indent=1))
