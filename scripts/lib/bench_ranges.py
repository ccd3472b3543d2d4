# SPDX-License-Identifier: GPL-3.0-or-later
"""What a part of a large file costs: bytes on the connections, and look-ups."""

import time

import bench_measure
import bench_swarm
import lab

LARGE_MIB = 10240
CHUNK = 512
SETTLES_SECONDS_MAX = 20
PINGS_BYTES_MAX = 256  # in a second


def _read(swarm, reader, first, count):
    """(bytes down, bytes up, look-ups) while `cat` gives so many bytes from `first` on."""
    def counters():
        status = reader.status()
        return (status["traffic"]["down_bytes"], status["traffic"]["up_bytes"],
                status["dht"]["lookups"])

    def settled():
        # A newcomer still meets the others, and an answer may come after the last byte. Pings go on.
        last, calm = counters(), 0
        for _ in range(SETTLES_SECONDS_MAX):
            time.sleep(1)
            now = counters()
            moved = sum(now[:2]) - sum(last[:2])
            calm = calm + 1 if moved < PINGS_BYTES_MAX and now[2] == last[2] else 0
            last = now
            if calm == 3:
                break
        return last

    target = swarm.lab.path / "part"
    before = settled()
    with open(target, "wb") as out:
        process = swarm.lab.start("cat", swarm.root, "--range", f"{first}-{first + count - 1}",
                                  data=reader.data)
        out.write(process.communicate(timeout=120)[0])
    lookups = counters()[2]  # later ones are the neighbourhood's own
    after = (*settled()[:2], lookups)
    with open(swarm.path, "rb") as source:
        source.seek(first)
        if source.read(count) != target.read_bytes():
            raise lab.LabError("what came is not what was asked for")
    target.unlink()
    return tuple(new - old for new, old in zip(after, before))


def run(bench):
    mebibytes = LARGE_MIB if bench.large else bench.size_mib
    path = bench.source(mebibytes)
    with bench_swarm.Swarm(path, 1) as swarm:
        # Its extents' hashes, and a few octets beside (docs/protocol.md, 1).
        descriptor = 32 * swarm.published["extents"]
        middle = swarm.size // 2 + 12_345
        first_chunk = middle // CHUNK * CHUNK
        reader = swarm.add_reader("one")
        rows = {"1 MiB, by a node that just joined":
                _read(swarm, reader, middle, bench_measure.MIB)}
        reader.stop()  # it has the descriptor now, and would be asked for it as well
        reader = swarm.add_reader("two")
        rows["one chunk, by a node that just joined"] = _read(swarm, reader, first_chunk, CHUNK)
        rows["another chunk, by the same node"] = _read(swarm, reader, first_chunk // 2 // CHUNK *
                                                        CHUNK, CHUNK)
    table = bench_measure.Table(f"out of {mebibytes} MiB, whose descriptor has {descriptor} bytes",
                                "bytes down", "bytes up", "look-ups")
    for name, row in rows.items():
        table.row(name, *row)
    print()
    bounds = bench_measure.Bounds("beside the descriptor")
    down, up, _ = rows["1 MiB, by a node that just joined"]
    bounds.at_most("1 MiB: both ways", (down + up - descriptor) / bench_measure.MIB, 1.1, "MiB")
    for name in ("one chunk, by a node that just joined", "another chunk, by the same node"):
        down, up, _ = rows[name]
        # Whether the descriptor came again is seen in the table: at most once it is left out.
        rest = down + up - (descriptor if down >= descriptor else 0)
        bounds.at_most(f"{name}: both ways", rest, 4096, "bytes", 0)
