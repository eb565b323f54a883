"""Digits with PyTorch: the shortest script to 0.97 test accuracy."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

table = np.loadtxt("examples/data/digits.csv", np.float32, delimiter=",", skiprows=1)
x, y = torch.from_numpy(table[:, :64] / 16), torch.from_numpy(table[:, 64].astype(int))
generator = np.random.default_rng(0)
order = generator.permutation(len(x))
train, test = order[:1437], order[1437:]

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.003, fused=True)
for _ in range(12):
    for rows in torch.from_numpy(generator.permutation(train)).split(64):
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
with torch.no_grad():
    accuracy = (model(x[test]).argmax(dim=1) == y[test]).float().mean()
print(f"test accuracy {accuracy:.4f}")
