"""What the network is told: which priors answer for which plate, and what each answer costs."""

import torch
from torch.nn import functional

from retina import corners, encode
from scenes import OPEN, PLATE

# A prior answers for a plate if its size is so near the plate's (in octaves), and its middle is so near the plate's
# (as parts of the box's width and height, and at least as a part of a stride, so that every plate has one).
OCTAVES = 0.62
NEAR = (0.22, 0.3)
AT_LEAST = 0.55
# Sizes of plates beyond the smallest and the largest prior count as these.
SMALLEST, LARGEST = 17.0, 1100.0
# Inside a plate's box, priors nearly as near are no background.
OPEN_OCTAVES = 1.3
# Background priors per plate that count: the worst ones.
WORST = 24
# What all priors of a plate weigh together.
TOGETHER = 4.0
# Where a picture may hold plates without truth, what the public detector finds is left open.
FOUND = 0.2


def strides(prior):
    return torch.where(prior[:, 2] < 72, 8.0, torch.where(prior[:, 2] < 288, 16.0, 32.0))


@torch.no_grad()
def assigned(quads, state, prior):
    """Per picture and prior: the plate it answers for (-1: none), its weight, and whether it is background."""
    low, high = quads.amin(2), quads.amax(2)
    size, middle = (high - low).clamp(min=1), (high + low) / 2
    side = (size[..., 0] * size[..., 1]).sqrt().clamp(SMALLEST, LARGEST)
    octaves = (prior[:, 2].log2() - side.log2()[..., None]).abs()
    away = (prior[:, :2] - middle[:, :, None]).abs()
    least = strides(prior)[:, None] * AT_LEAST
    reach = torch.maximum(size[:, :, None] * torch.tensor(NEAR, device=quads.device), least)
    plate = (state == PLATE)[..., None]
    answers = plate & (octaves <= OCTAVES) & (away < reach).all(-1)
    inside = (away < torch.maximum(size[:, :, None] * 0.55, least)).all(-1)
    left_open = (plate & inside & (octaves < OPEN_OCTAVES)) | ((state == OPEN)[..., None] & inside)
    # The nearest of several plates.
    far = (away / size[:, :, None]).square().sum(-1).masked_fill(~answers, torch.inf)
    nearest = far.argmin(1)
    any_answer = answers.any(1)
    chosen = torch.where(any_answer, nearest, -1)
    count = torch.stack([(chosen == k).sum(1) for k in range(quads.shape[1])], 1).clamp(min=1)
    weight = torch.where(any_answer, TOGETHER / count.gather(1, chosen.clamp(min=0)), 0.0)
    return chosen, weight, ~any_answer & ~left_open.any(1)


def losses(answer, public_score, batch, prior):
    """Losses of the scores, boxes and corners."""
    box, score, corner = answer
    chosen, weight, background = assigned(batch["quads"], batch["state"], prior)
    background &= ~(batch["more"][:, None] & (public_score > FOUND))
    plates = max(1, int((batch["state"] == PLATE).sum()))
    total = TOGETHER * plates
    which, priors_of = torch.nonzero(chosen >= 0, as_tuple=True)
    w = weight[which, priors_of]
    cost = functional.softplus(score[..., 0] - score[..., 1])
    good = (cost[which, priors_of] * w).sum() / total
    against = functional.softplus(score[..., 1] - score[..., 0]).masked_fill(~background, 0).flatten()
    bad = against.topk(min(len(against), WORST * plates + 16 * len(chosen))).values.sum() / total
    quad = batch["quads"][which, chosen[which, priors_of]]
    true_box, true_corner = encode(quad, prior[priors_of])
    far = lambda a, b: functional.smooth_l1_loss(a, b, beta=0.3, reduction="none").mean(1)
    boxes = (far(box[which, priors_of], true_box) * w).sum() / total
    points = (far(corner[which, priors_of], true_corner) * w).sum() / total
    return {"plate": good, "background": bad, "box": boxes, "corner": points}


def likeness(ours, theirs):
    """How far our features are from the public detector's, of which a ReLU keeps the positive part."""
    total = 0.0
    for a, b in zip(ours, theirs):
        b = b.float().clamp(min=0)
        total = total + (a.float() - b).abs().mean() / b.mean().clamp(min=1e-3)
    return total / len(ours)


@torch.no_grad()
def figures(answer, batch, prior, least=0.5):
    """Found plates of all, mean corner error as a part of the plate's width, and pictures with a find that is none."""
    _, score, corner = answer
    found = plates = wrong = 0
    errors = []
    probability = score.float().softmax(2)[..., 1]
    for k in range(len(probability)):
        keep = probability[k] >= least
        quad = corners(corner[k][keep].float(), prior[keep])
        centre = quad.mean(1)
        near = torch.zeros(len(quad), dtype=torch.bool, device=quad.device)
        for true, state in zip(batch["quads"][k], batch["state"][k]):
            if state not in (PLATE, OPEN):
                continue
            width = (true[1] - true[0]).norm()
            # Corners by their order: both turn the same way.
            error = (quad - true).norm(dim=2).mean(1) / width
            near |= ((centre - true.mean(0)).norm(dim=1) < 0.6 * width)
            if state == PLATE:
                plates += 1
                hit = error < 0.15
                found += bool(hit.any())
                if hit.any():
                    errors.append(error[probability[k][keep].masked_fill(~hit, 0).argmax()].item())
        wrong += bool((~near).any()) and not bool(batch["more"][k])
    return found, plates, sum(errors) / max(1, len(errors)), wrong
