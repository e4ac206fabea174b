"""Things of toytown at another size: enlarged in the picture, about the foot on the ground, together with the shadow.

(u, v)  ->  foot + size ((u, v) - foot)         o          in the picture, not in the world: a car four times as
                                        o      /|          long would reach behind the camera, and be another view
                                        |      ||          of a car. So each thing keeps its outline, its place
                                      foot    foot         and its order in depth; only the scale of it changes.
"""

from copy import copy

import numpy as np

from .canvas import NEAR, Camera, cut_near, on_ground

REACH = 100.0  # metres: the farthest ground on which an enlarged shadow falls


def enlarged(camera: Camera, place, size: float) -> Camera:
    """Return a camera that sees what stands at place (x, z) `size` times as large, its foot where it was."""
    u, v = camera.project(on_ground(place)[None])[0]
    larger = copy(camera)
    larger.matrix = np.array([[size, 0, (1 - size) * u], [0, size, (1 - size) * v], [0, 0, 1]]) @ camera.matrix
    larger.focal = size * camera.focal
    return larger


def enlarged_cast(camera: Camera, larger: Camera, cast: np.ndarray) -> list[np.ndarray]:
    """Return the polygon on the ground that `camera` sees where `larger` sees the polygon `cast` (n, 3).

    One polygon (m, 3), cut where it would rise above the horizon; or none, where nothing is left of it.
    """
    if larger is camera:
        return [cast]
    to_ground = np.linalg.inv(camera.matrix[:, [0, 2, 3]])  # (u, v, 1) -> (X, Z, 1) / depth
    ground = [to_ground @ (u / d, v / d, 1) for u, v, d in cut_near(larger.homogeneous(cast).tolist())]
    ground = cut_near([(NEAR * REACH * point).tolist() for point in ground])  # cuts where 1 / depth is below 1 / REACH
    return [np.array([[x / t, 0, z / t] for x, z, t in ground])] if len(ground) >= 3 else []
