"""The commands, a line each: python -m minifcn"""

COMMANDS = {
    "train": "train FCNs: on the embedded data set, or on your own pictures",
    "predict": "segment pictures",
    "evaluate": "score a network on a data set",
    "pretrain": "train the trunk of a network on classified pictures",
    "check_data": "check a data set before training",
    "inspect_weights": "show what a weight file holds and what a network would take over",
    "check_gradients": "check every gradient against finite differences",
    "gpu_selftest": "check the kernels on this machine's GPU, then time them",
    "table1": "make the lab report, from a source checkout",
}

if __name__ == "__main__":
    for name, what in COMMANDS.items():
        print(f"python -m minifcn.{name:<16} {what}")
    print("\neach with --help; python -m minifcn.train begins without any option")
