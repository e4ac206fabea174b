"""What 8, 64 and 512 machines like this one would give, computed from one machine's step and all-reduce (a minute).

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python experiments/speed/scaling.py

An all-reduce of B bytes over P ranks sends and receives 2 (P - 1) / P x B bytes a rank, in 2 log2 P messages (Thakur,
Rabenseifner, Gropp 2005, section 4). The ranks of a machine share its network. Nothing but the first line of each
network is measured.
"""

from math import log2

from bench import FULL, MINIFCN, TOYTOWN, TWO
from driver import fresh
from with_minifcn import network

LATENCY = 50e-6  # seconds a message, on Ethernet
NETWORKS = {"1 Gbit/s": 1e9 / 8, "10 Gbit/s": 1e10 / 8}  # bytes a second
JOBS = {
    "FCN-32s, vgg_quarter": TOYTOWN | {"network": "fcn32s", "N": 2},
    "FCN-8s, vgg_quarter": TOYTOWN | {"network": "fcn8s", "N": 4, "H": 360, "W": 480},
    "FCN-32s, full width": FULL | {"network": "fcn32s", "N": 1, "H": 360, "W": 480, "pad": 100},
}


def main() -> None:
    for name, job in JOBS.items():
        job |= {"kind": "train", "warm": 3}
        ranks = min(2, job["N"])
        ours = TWO if ranks > 1 else MINIFCN
        step = fresh([ours], job, 5, 1.0)[ours.name]
        summed = fresh([TWO], job | {"kind": "all-reduce"}, 5, 0)[TWO.name] if ranks > 1 else 0.0
        size = 4 * sum(x.data.size for x in network(job).parameters().values())
        print(f"{name}, {job['N']} x {job['H']} x {job['W']} a machine: {size / 1e6:.1f} MB of gradients; measured: ")
        print(f"    step {step:.3f} s in {ranks} processes, all-reduce in it {1000 * summed:.1f} ms")
        for machines in (8, 64, 512):
            P, cells = machines * ranks, []
            for speed, rate in NETWORKS.items():
                sent = 2 * (machines - 1) / machines * size / rate + 2 * log2(P) * LATENCY
                cells.append(f"{machines * step / (step + sent):6.1f} x at {speed}")
            print(f"    {machines:4} machines, batch {machines * job['N']:5}: {', '.join(cells)} (computed)")


if __name__ == "__main__":
    main()
