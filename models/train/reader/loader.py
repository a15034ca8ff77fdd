"""Hands chunks of a batch from processes that make them to the one that trains.

Making a chunk is many small steps, and one process cannot ask the graphics processor for them fast enough. The chunks
pass through files mapped into memory, a fixed number of them, so that nothing piles up.
"""

import pathlib
import tempfile
import threading

import numpy
import torch
import torch.multiprocessing

from alphabet import HEIGHT, SLOTS, WIDTH

FIELDS = {"text": ((SLOTS,), numpy.int64), "hidden": ((SLOTS,), numpy.int64),
          "at": ((SLOTS, 2), numpy.float32), "placed": ((SLOTS,), numpy.float32),
          "colour": ((), numpy.int64), "rows": ((), numpy.int64)}


def mapped(folder, slot, count, plates, mode):
    """The arrays of one chunk in its files."""
    shapes = {"picture": ((count, 3, HEIGHT, WIDTH), numpy.uint8)}
    shapes |= {key: ((plates, *shape), kind) for key, (shape, kind) in FIELDS.items()}
    return {k: numpy.memmap(folder / f"{k}{slot}", kind, mode, shape=shape) for k, (shape, kind) in shapes.items()}


def make(path, folder, slots, count, plates, real, seed, free, full):
    from batches import Batches, Material

    torch.set_num_threads(1)
    # Else every process draws the same corners, light and noise.
    torch.manual_seed(seed)
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
    """Batches drawn from the latest chunks; use it as a context.

    Chunks come in more slowly than a fast processor can train on them. So each is kept for a while and its pictures are
    drawn about `again` times, mixed with those of other chunks, of other sizes and compressions.
    """

    def __init__(self, path, device, workers, count, real, seed, again=2.5, keep=96):
        from batches import plates_of

        self.device, self.count, self.plates, self.again, self.keep = device, count, plates_of(count), again, keep
        self.folder = tempfile.TemporaryDirectory()
        folder, slots = pathlib.Path(self.folder.name), workers * 2
        self.arrays = [mapped(folder, slot, count, self.plates, "w+") for slot in range(slots)]
        context = torch.multiprocessing.get_context("spawn")
        self.free, self.full = context.Queue(), context.Queue()
        for slot in range(slots):
            self.free.put(slot)
        self.processes = [
            context.Process(target=make, daemon=True,
                            args=(path, folder, slots, count, self.plates, real, seed + 10 * i, self.free, self.full))
            for i in range(workers)
        ]
        self.rng = numpy.random.default_rng(seed + 7)
        self.chunks, self.come, self.drawn = [], 0, 0
        self.news = threading.Condition()

    def __enter__(self):
        for process in self.processes:
            process.start()
        threading.Thread(target=self.carry, daemon=True).start()
        return self

    def carry(self):
        """Copies finished chunks to the device; the oldest one makes room."""
        while True:
            slot = self.full.get()
            chunk = {k: torch.from_numpy(numpy.array(a)).to(self.device) for k, a in self.arrays[slot].items()}
            self.free.put(slot)
            with self.news:
                self.chunks = [*self.chunks, chunk][-self.keep :]
                self.come += self.count
                self.news.notify()

    def batch(self, count, parts=8):
        """`count` pictures of `parts` chunks, plates first."""
        with self.news:
            fresh = lambda: len(self.chunks) >= parts and self.drawn + count <= self.again * self.come
            if not self.news.wait_for(fresh, 120):
                raise TimeoutError("no chunk was made for two minutes")
            chunks = self.chunks
        self.drawn += count
        chosen = [chunks[i] for i in self.rng.choice(len(chunks), parts, replace=False)]
        plates = round(count / parts * self.plates / self.count)
        pick = lambda n, k: torch.randperm(n, device=self.device)[:k]
        some = [(c, pick(self.plates, plates)) for c in chosen]
        others = [c["picture"][self.plates + pick(self.count - self.plates, count // parts - plates)] for c in chosen]
        picture = torch.cat([c["picture"][i] for c, i in some] + others)
        return picture, {k: torch.cat([c[k][i] for c, i in some]) for k in FIELDS}

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
