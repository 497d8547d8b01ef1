"""Densities of Optuna's Parzen estimator, with the defaults of its TPESampler: python parzen.py > parzen.json (optuna 5.0.0)."""
import json

import numpy as np
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_gamma, default_weights

r = np.random.RandomState(1)
cases = []
for kind, low, high, whole in [("uniform", -1.0, 2.0, False), ("log", 1e-4, 0.1, False), ("uniform", 1, 9, True), ("log", 2, 200, True)]:
    for n in [1, 2, 5, 24, 60]:
        if whole and n == 60:
            continue  # equal values have different weights there, and an order that argsort does not define
        u = r.rand(n)
        x = low * (high / low) ** u if kind == "log" else low + u * (high - low)
        x = np.rint(x) if whole else x
        d = (IntDistribution if whole else FloatDistribution)(low, high, log=kind == "log")
        p = _ParzenEstimatorParameters(1.0, True, False, default_weights, False)
        e = _ParzenEstimator({"x": x}, {"x": d}, p)
        at = np.array([low, high, 0.3 * low + 0.7 * high, x[0]])
        at = np.rint(at) if whole else at
        cases.append({"kind": kind, "low": low, "high": high, "int": whole, "seen": x.tolist(), "at": at.tolist(), "density": np.exp(e.log_pdf({"x": at})).tolist()})
print(json.dumps({"good": [default_gamma(n) for n in range(400)], "cases": cases}))
