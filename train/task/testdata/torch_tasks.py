"""Expected losses of labels and their gradients, with weights of rows, from PyTorch: python torch_tasks.py writes tasks.json beside this file
(made with torch 2.15.0).

Binary cross-entropies with pos_weight and cross-entropies of classes are PyTorch's functions, the focal loss is that of torchvision
(sigmoid_focal_loss), written out here, and its gradients autograd's. Each loss is the mean over all rows of the rows' weights times their
losses. A label that is missing (null) has the weight 0.
"""
import json, pathlib
import torch
import torch.nn.functional as F

torch.manual_seed(5)
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
N, C = 8, 3
number = lambda t: [float(f"{v:.9g}") for v in t.reshape(-1).tolist()]
z1 = (torch.randn(N, 1) * 2).float().double()
z3 = (torch.randn(N, C) * 2).float().double()
zm = (torch.randn(N, 2 + C) * 2).float().double()  # a binary task, a number, classes
y = torch.tensor([1, 0, 0, 1, 1, 0, 1, 0.])
soft = torch.tensor([1, 0, .25, .5, 1, 0, .9, 0.])
c = torch.tensor([0, 2, 1, 1, 0, 2, 2, 1])
x = torch.randn(N).float().double()
w = torch.tensor([1, 2, 0, .5, 3, 1, .25, 1.5])
nan = float("nan")
my = torch.tensor([1, nan, 0, 1, nan, 0, 1, 0.])
mx = torch.tensor([nan, .5, -1, 2, .25, nan, 1, 0.])
mc = torch.tensor([0, 2, nan, 1, 0, nan, 2, 1.])


def focal(z, y, gamma, alpha):
    p = torch.sigmoid(z)
    ce = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    p_t = p * y + (1 - p) * (1 - y)
    loss = ce * (1 - p_t) ** gamma
    return loss if alpha == 0 else (alpha * y + (1 - alpha) * (1 - y)) * loss


def binary(o, z, y):
    z = z[:, 0]
    e = o.get("label_smoothing", 0)
    y = y * (1 - e) + e / 2
    if o.get("focal_gamma") or o.get("focal_alpha"):
        if e:  # both labels have a part
            p = torch.sigmoid(z)
            g = o["focal_gamma"]
            return -y * (1 - p) ** g * F.logsigmoid(z) - (1 - y) * p**g * F.logsigmoid(-z)
        return focal(z, y, o.get("focal_gamma", 0), o.get("focal_alpha", 0))
    pos = torch.tensor(float(o.get("pos_weight", 1)))
    return F.binary_cross_entropy_with_logits(z, y, pos_weight=pos, reduction="none")


def classes(o, z, c):
    ce = F.cross_entropy(z, c.long(), reduction="none", label_smoothing=o.get("label_smoothing", 0))
    if "focal_gamma" in o:
        ce = (1 - torch.softmax(z, 1).gather(1, c.long()[:, None])[:, 0]) ** o["focal_gamma"] * ce
    if "class_weights" in o:
        ce = ce * torch.tensor(o["class_weights"])[c.long()]
    return ce


def several(o, z, weight):
    total = 0
    for k, (loss, zz, yy) in enumerate([(binary, z[:, :1], my), (lambda o, z, y: (z[:, 0] - y) ** 2, z[:, 1:2], mx), (classes, z[:, 2:], mc)]):
        have = ~yy.isnan()
        total = total + o["weights"][k] * (torch.where(have, loss({}, zz, yy.nan_to_num()), 0.) * weight).mean()
    return total


cases = []
for weighted in (False, True):
    weight = w if weighted else torch.ones(N)
    for name, o, z, rows in (
        [("binary_classification", o, z1, lambda z, o=o: binary(o, z, y)) for o in (
            {}, {"pos_weight": 4}, {"pos_weight": .3, "label_smoothing": .1}, {"label_smoothing": .2}, {"focal_gamma": 2},
            {"focal_gamma": 2, "focal_alpha": .25}, {"focal_alpha": .75}, {"focal_gamma": 1.5, "label_smoothing": .1})]
        + [("classification", o, z3, lambda z, o=o: classes(o, z, c)) for o in (
            {}, {"label_smoothing": .1}, {"focal_gamma": 2}, {"class_weights": [1, 3, .5]}, {"focal_gamma": .5, "class_weights": [2, 1, .25]})]
        + [("regression", {}, z1, lambda z: (z[:, 0] - x) ** 2)]
        + [("multi_task", {"weights": ws}, zm, None) for ws in ([1, 1, 1], [.5, 2, 0])]
    ):
        z = z.clone().requires_grad_()
        v = several(o, z, weight) if rows is None else (rows(z) * weight).mean()
        v.backward()
        cases.append({"task": name, "options": o, "weighted": weighted, "logits": number(z), "value": v.item(), "gradient": number(z.grad)})
labels = {"binary_classification": y, "classification": c, "regression": x}
missing = lambda t: [None if v != v else v for v in t.tolist()]
result = {"weight": number(w), "labels": {k: number(v.double()) for k, v in labels.items()},
          "several": [missing(my), missing(mx), missing(mc)], "cases": cases}
(pathlib.Path(__file__).parent / "tasks.json").write_text(json.dumps(result) + "\n")
