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
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is no answer
    run = None
    for line in sys.stdin:
        order = json.loads(line)
        answer = {}
        if "prepare" in order:
            run, array = prepared(side, order["prepare"])
            results = [array(run()) for _ in range(order["prepare"].get("warm", 1))]
            if order.get("result"):
                np.save(order["result"], np.stack(results))
            del results
        elif "time" in order:
            seconds, until = [], time.perf_counter() + order["time"]
            while not seconds or time.perf_counter() < until:
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
