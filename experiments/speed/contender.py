"""One contender in a process of its own: python contender.py with_minifcn | with_torch; jobs come in as lines of JSON.

{"prepare": job, "result": file}   build it, do it `warm` times, write the last (or all) results; answers {}
{"time": s}                        do it for about s seconds, at least once; answers {"seconds": [...]}
{"peak": true}                     answers {"bytes": the most memory this process ever held}
"""

import importlib
import json
import os
import resource
import sys
import time

import numpy as np


def main() -> None:
    side = importlib.import_module(sys.argv[1])
    # of a side with several processes the first one alone answers; all do what it is sent, as often as it says
    first, agreed = getattr(side, "first", True), getattr(side, "agreed", bool)
    answers = os.fdopen(os.dup(1), "w", buffering=1) if first else open(os.devnull, "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    run = None
    for line in side.orders(sys.stdin) if hasattr(side, "orders") else sys.stdin:
        order = json.loads(line)
        answer = {}
        if "prepare" in order:
            run, array = prepared(side, order["prepare"])
            results = [array(run()) for _ in range(order["prepare"].get("warm", 1))]
            if order.get("result") and first:
                np.save(order["result"], np.stack(results))
            del results
        elif "time" in order:
            seconds, until = [], time.perf_counter() + order["time"]
            while agreed(not seconds or time.perf_counter() < until):
                start = time.perf_counter()
                run()
                seconds.append(time.perf_counter() - start)
            answer = {"seconds": seconds}
        elif "peak" in order:
            answer = {"bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
        elif "versions" in order:
            answer = side.versions()
        print(json.dumps(answer), file=answers)


def prepared(side, job):
    made = side.prepare(job)
    return made if isinstance(made, tuple) else (made, np.array)


if __name__ == "__main__":
    main()
