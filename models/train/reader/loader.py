"""Hands chunks of a batch from processes that make them to the one that trains.

Making a chunk is many small steps, and one process cannot ask the graphics processor for them fast enough. The chunks
pass through files mapped into memory, a fixed number of them, so that nothing piles up.
"""

import pathlib
import queue
import tempfile
import threading

import numpy
import torch
import torch.multiprocessing

from alphabet import HEIGHT, SLOTS, WIDTH

FIELDS = {"text": ((SLOTS,), numpy.int64), "at": ((SLOTS, 2), numpy.float32), "placed": ((SLOTS,), numpy.float32),
          "colour": ((), numpy.int64), "rows": ((), numpy.int64)}


def mapped(folder, slot, count, plates, mode):
    """The arrays of one chunk in its files."""
    shapes = {"picture": ((count, 3, HEIGHT, WIDTH), numpy.uint8)}
    shapes |= {key: ((plates, *shape), kind) for key, (shape, kind) in FIELDS.items()}
    return {k: numpy.memmap(folder / f"{k}{slot}", kind, mode, shape=shape) for k, (shape, kind) in shapes.items()}


def make(path, folder, slots, count, plates, real, seed, free, full):
    from batches import Batches, Material

    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batches = Batches(Material(path, device), device, seed)
    arrays = [mapped(folder, slot, count, plates, "r+") for slot in range(slots)]
    with torch.no_grad():
        while True:
            picture, targets = batches.chunk(count, real)
            slot = free.get()
            if slot is None:
                return
            arrays[slot]["picture"][:] = picture.cpu().numpy()
            for key in FIELDS:
                arrays[slot][key][:] = targets[key].cpu().numpy()
            full.put(slot)


class Loader:
    """Batches of `chunks` chunks of `count` pictures each; use it as a context."""

    def __init__(self, path, device, workers, count, chunks, real, seed):
        from batches import plates_of

        self.device, self.chunks = device, chunks
        self.folder = tempfile.TemporaryDirectory()
        folder, slots, plates = pathlib.Path(self.folder.name), workers * 2, plates_of(count)
        self.arrays = [mapped(folder, slot, count, plates, "w+") for slot in range(slots)]
        context = torch.multiprocessing.get_context("spawn")
        self.free, self.full = context.Queue(), context.Queue()
        for slot in range(slots):
            self.free.put(slot)
        self.processes = [
            context.Process(target=make, daemon=True,
                            args=(path, folder, slots, count, plates, real, seed + 10 * i, self.free, self.full))
            for i in range(workers)
        ]
        self.ready = queue.Queue(2)
        self.ended = False

    def __enter__(self):
        for process in self.processes:
            process.start()
        threading.Thread(target=self.carry, daemon=True).start()
        return self

    def carry(self):
        """Copies finished chunks to the device, ahead of the training."""
        while not self.ended:
            parts = []
            for _ in range(self.chunks):
                slot = self.full.get()
                parts.append({k: torch.from_numpy(numpy.array(a)).to(self.device) for k, a in self.arrays[slot].items()})
                self.free.put(slot)
            plates = len(parts[0]["text"])
            picture = torch.cat([p["picture"][:plates] for p in parts] + [p["picture"][plates:] for p in parts])
            self.ready.put((picture, {k: torch.cat([p[k] for p in parts]) for k in FIELDS}))

    def batch(self):
        return self.ready.get(timeout=300)

    def __exit__(self, *_):
        self.ended = True
        for process in self.processes:
            process.terminate()
