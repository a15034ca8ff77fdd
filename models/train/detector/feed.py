"""Hands chunks of pictures from processes that make them to the one that trains; see the reader's loader.py for why.

Every picture may be drawn several times, mixed with those of other chunks.
"""

import pathlib
import tempfile
import threading

import numpy
import torch
import torch.multiprocessing

HEIGHT, WIDTH = 384, 512
CHUNK = 24
PATIENCE = 100


def fields():
    from scenes import TRUTHS

    return {
        "picture": ((CHUNK, 3, HEIGHT, WIDTH), numpy.uint8),
        "quads": ((CHUNK, TRUTHS, 4, 2), numpy.float32),
        "state": ((CHUNK, TRUTHS), numpy.int64),
        "more": ((CHUNK,), numpy.bool_),
    }


def mapped(folder, slot, mode):
    return {k: numpy.memmap(folder / f"{k}{slot}", kind, mode, shape=shape) for k, (shape, kind) in fields().items()}


def make(path, device, folder, slots, seed, free, full):
    import traceback

    from scenes import Material, Scenes

    torch.set_num_threads(1)
    device = torch.device(device)
    scenes = Scenes(Material(path, device), device, seed, HEIGHT, WIDTH)
    arrays = [mapped(folder, slot, "r+") for slot in range(slots)]
    failed = 0
    while failed < 20:
        try:
            with torch.no_grad():
                chunk = scenes.chunk(CHUNK)
        except Exception:
            # One chunk that cannot be made is no reason to end; many are.
            failed += 1
            traceback.print_exc()
            continue
        slot = free.get()
        if slot is None:
            return
        for key, values in chunk.items():
            arrays[slot][key][:] = values.cpu().numpy()
        full.put(slot)


class Feed:
    """Batches of the latest chunks; use it as a context."""

    def __init__(self, path, device, workers, seed, makers=None, again=3.0, keep=40):
        self.device, self.again, self.keep = device, again, keep
        self.folder = tempfile.TemporaryDirectory()
        folder, slots = pathlib.Path(self.folder.name), workers * 2
        self.arrays = [mapped(folder, slot, "w+") for slot in range(slots)]
        context = torch.multiprocessing.get_context("spawn")
        self.free, self.full = context.Queue(), context.Queue()
        for slot in range(slots):
            self.free.put(slot)
        self.processes = [
            context.Process(target=make, daemon=True, args=(
                path, makers or str(device), folder, slots, seed + 10 * i, self.free, self.full))
            for i in range(workers)
        ]
        self.chunks, self.come, self.drawn = [], 0, 0
        self.news = threading.Condition()

    def __enter__(self):
        for process in self.processes:
            process.start()
        threading.Thread(target=self.carry, daemon=True).start()
        return self

    def carry(self):
        while True:
            slot = self.full.get()
            chunk = {k: torch.from_numpy(numpy.asarray(a)).to(self.device, copy=True)
                     for k, a in self.arrays[slot].items()}
            self.free.put(slot)
            with self.news:
                self.chunks = [*self.chunks, chunk][-self.keep :]
                self.come += CHUNK
                self.news.notify()

    def batch(self, count, parts):
        """`count` pictures of up to `parts` chunks; waits until there is something new enough."""
        with self.news:
            fresh = lambda: self.chunks and self.drawn + count <= self.again * self.come
            if not self.news.wait_for(fresh, PATIENCE):
                raise TimeoutError(f"no chunk was made for {PATIENCE} seconds")
            chunks = self.chunks
        self.drawn += count
        parts = min(parts, len(chunks))
        picked = torch.randperm(len(chunks))[:parts].tolist()
        found = []
        for i, k in enumerate(picked):
            share = count // parts + (i < count % parts)
            numbers = torch.randint(0, CHUNK, (share,), device=self.device)
            found.append({key: values[numbers] for key, values in chunks[k].items()})
        return {key: torch.cat([f[key] for f in found]) for key in found[0]}

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
