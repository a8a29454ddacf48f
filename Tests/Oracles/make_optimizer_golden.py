"""Makes BatchNormalizationTests/Golden/optimizers.json from torch.optim: 1,000 steps of recorded gradients, in float64.

    pip install -r Tests/Oracles/requirements.txt
    python Tests/Oracles/make_optimizer_golden.py

The gradients are made of integers, exactly, by a formula that OptimizerGoldenTests has too. The file holds every
50th step.
"""

import json
from pathlib import Path

import torch

GOLDEN = Path(__file__).resolve().parent.parent / "BatchNormalizationTests" / "Golden"
FEATURES = 4
STEPS = 1000
EVERY = 50
WEIGHT = [1.5, -0.25, 0.75, 3.0]
BIAS = [0.5, -1.0, 2.0, 0.0]
CASES = {
    "sgd": (torch.optim.SGD, dict(lr=0.01), {}),
    "sgd, momentum": (torch.optim.SGD, dict(lr=0.01, momentum=0.9), {}),
    "sgd, nesterov": (torch.optim.SGD, dict(lr=0.01, momentum=0.9, nesterov=True), {}),
    "sgd, decay": (torch.optim.SGD, dict(lr=0.01, momentum=0.5, weight_decay=0.05), {}),
    "sgd, schedule": (torch.optim.SGD, dict(lr=0.02, momentum=0.9), dict(milestones=[300, 600])),
    "adam": (torch.optim.Adam, dict(lr=0.01), {}),
    "adam, decay": (torch.optim.Adam, dict(lr=0.01, weight_decay=0.05), {}),
    "adam, other betas": (torch.optim.Adam, dict(lr=0.005, betas=(0.4, 0.99), eps=1e-3), {}),
    "adam, clipped": (torch.optim.Adam, dict(lr=0.01), dict(clip=2.0)),
    "adamw": (torch.optim.AdamW, dict(lr=0.01), {}),
    "adamw, decay": (torch.optim.AdamW, dict(lr=0.01, weight_decay=0.1), {}),
}


def gradients(step, kind):
    """The gradients of step 0, 1, … of γ (kind 0) or β (kind 1): noise of several sizes, and a little more."""
    return [
        ((step * 7919 + feature * 104729 + kind * 1299709 + 17) ** 2 % 65536 / 65536 - 0.4375) * 4.0**feature / 8
        for feature in range(FEATURES)
    ]


def run(optimizer_class, settings, others):
    weight = torch.tensor(WEIGHT, dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(BIAS, dtype=torch.float64, requires_grad=True)
    optimizer = optimizer_class([weight, bias], **settings)
    schedule = None
    if "milestones" in others:
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, others["milestones"], gamma=0.5)
    steps = []
    for step in range(STEPS):
        weight.grad = torch.tensor(gradients(step, 0), dtype=torch.float64)
        bias.grad = torch.tensor(gradients(step, 1), dtype=torch.float64)
        if "clip" in others:
            torch.nn.utils.clip_grad_norm_([weight, bias], others["clip"])
        optimizer.step()
        if schedule is not None:
            schedule.step()
        if (step + 1) % EVERY == 0:
            steps.append({"weight": weight.tolist(), "bias": bias.tolist()})
    return steps


def main():
    torch.set_num_threads(1)
    content = {
        "torch": torch.__version__.split("+")[0],
        "weight": WEIGHT,
        "bias": BIAS,
        "every": EVERY,
        "cases": {name: run(*case) for name, case in CASES.items()},
    }
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    (GOLDEN / "optimizers.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
