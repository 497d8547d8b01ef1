"""Arrays that NumPy writes: python make.py (in this directory; made with numpy 2)."""
import numpy as np

np.savez(
    "rows.npz",
    label=np.array([1, 0, 1], np.int64),
    user=np.array(["u1", 'a "b", c', "été"]),
    price=np.array([0.5, np.nan, -1e-3], np.float32),
    half=np.array([1.5, -0.25, 6.1e-5], np.float16),
    clicks=np.array([[3, 7, 0, 0], [0, 0, 0, 0], [0, 0, 1, 2]], np.int32),
    vector=np.array([[0.25, 0.0], [1.0, -2.0], [3.0, 4.5]], np.float64),
    flag=np.array([True, False, True]),
    big=np.array([2**63, 1, 0], ">u8"),
    small=np.array([-1, 127, -128], np.int8),
    name=np.array([b"x", b"yz", b""]),
)
np.savez("uneven.npz", a=np.zeros(3), b=np.zeros(4))
np.savez("objects.npz", a=np.array([{}, 1], dtype=object))
np.savez("cube.npz", a=np.zeros((2, 2, 2)))
np.savez("columns.npz", a=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
