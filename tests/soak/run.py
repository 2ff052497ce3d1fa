#!/usr/bin/python3
"""A soak: the whole chain on a real engine for a given time, with churn, kills and outages.

usage: run.py --agent BINARY [--minutes N] [--to FOLDER] [--seed N] [--lines N]

Two agents watch the same engine, each with a receiver of its own. One is never touched: its memory,
descriptors, threads, CPU time and delay are sampled once a second, plotted, and must be flat. The
other is killed again and again. At both every line must have arrived, unaltered and in order, once
the traffic ends. FOLDER gets report.html and samples.tsv. Needs root; exit code 0 if all held.
"""

import argparse
import os
import pathlib
import random
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "engine"), str(HERE.parent)]

import chain  # noqa: E402
import flat  # noqa: E402
import host  # noqa: E402
import report  # noqa: E402
import traffic  # noqa: E402

ARRIVAL_SECONDS_MAX = 300  # after the end of the traffic
WARM_UP_SECONDS_MAX = 600
MEMORY_GROWTH_MAX = 0.03  # of the resident median, over the time measured
RESTING_SECONDS = 90  # the agent gives memory back once a minute
DESCRIPTORS_GROWTH_MAX = 3
THREADS_GROWTH_MAX = 0.5
MUST_BE_ZERO = ("tallyman_logs_gaps_total", "tallyman_logs_lost_bytes_total",
                "tallyman_logs_malformed_lines_total", "tallyman_destination_records_dropped_total",
                "tallyman_spool_dropped_records_total", "tallyman_scrapes_failed_total")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--agent", required=True, type=os.path.abspath)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--to", type=os.path.abspath,
                        default=str(HERE.parents[1] / "build-check" / "soak"))
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--lines", type=int, default=1000, help="lines per second, of all writers")
    return parser.parse_args()


def all_arrived(chains):
    return not any(one.ledger.lacking() for one in chains)


def verdicts(sampler, minutes):
    warm_up = min(WARM_UP_SECONDS_MAX, minutes * 60 / 3)

    def warm(column):
        return [point for point in sampler.curve(column) if warm_up <= point[0] <= minutes * 60]
    # Of pages of files as many are mapped as were touched since the agent last let go of them, which
    # no leak moves.
    memory = flat.Verdict("memory not from files", "MiB", warm("anonymous MiB"), 0, RESTING_SECONDS)
    memory.bound(flat.Verdict("resident memory", "MiB", warm("resident MiB"), 0).median *
                 MEMORY_GROWTH_MAX)
    return [memory,
            flat.Verdict("descriptors", "descriptors", warm("descriptors"),
                         DESCRIPTORS_GROWTH_MAX),
            flat.Verdict("threads", "threads", warm("threads"), THREADS_GROWTH_MAX)]


def judge(steady, killed, doings, sampler, curves):
    """What did not hold, in words."""
    found = doings.problems() + ([sampler.problem] if sampler.problem else [])
    for one in (steady, killed):
        book = one.ledger
        found += [f"{book.name}: {problem}" for problem in book.problems]
        if book.wrong > len(book.problems):
            found.append(f"{book.name}: {book.wrong} such lines")
        for container, lives in list(book.lacking().items())[:20]:
            for life, (came, written) in lives.items():
                found.append(f"{book.name}: of {container[:12]}, life {life}, {came} of {written} "
                             "lines came")
    found += [str(curve) for curve in curves if curve.is_judged and not curve.is_flat]
    if steady.ledger.totals()["repeats"] > 0 and not doings.away:
        found.append("steady: lines came twice although no receiver was away")
    for family in MUST_BE_ZERO:
        total = sum(steady.agent.values(family))
        if total:
            found.append(f"steady: {family} is {total:.0f}")
    return found


def draw(options, steady, killed, doings, sampler, curves, problems):
    length = sampler.rows[-1][0] if sampler.rows else 0
    spans = doings.away

    def plot(title, unit, columns, **more):
        return report.plot(title, unit, {column: sampler.curve(column) for column in columns},
                           length, spans, doings.kills, **more)
    plots = [plot("Memory", "MiB", ("resident MiB", "anonymous MiB",
                                   "rule history MiB")),
             plot("Descriptors", "open", ("descriptors",)),
             plot("Threads", "threads", ("threads",)),
             report.plot("CPU", "CPU seconds per second, over 10 s",
                         {"CPU": sampler.pace("CPU s")}, length, spans, doings.kills),
             plot("Lag: from a line's writing to its arrival", "s, longest in the second",
                  ("delay s",)),
             plot("Lag: records read and not acknowledged", "records", ("queued records",)),
             plot("Lag: the same", "bytes", ("queued bytes",)),
             report.plot("Lines", "per second, over 10 s",
                         {"read from files": sampler.pace("read lines"),
                          "records acknowledged": sampler.pace("acknowledged")},
                         length, spans, doings.kills),
             plot("Containers", "known", ("containers",)),
             plot("A scrape", "ms", ("scrape ms",))]
    books = [(one.ledger.name, one.ledger.totals()) for one in (steady, killed)]
    facts = [("time", f"{options.minutes:g} min, seed {options.seed}"),
             *((f"agent that is {'never' if name == 'steady' else 'again and again'} killed",
                f"{book['lines']:,} lines of {book['containers']:,} containers, "
                f"{book['repeats']:,} more came twice") for name, book in books),
             ("deeds", ", ".join(f"{deed.done} {deed.name}" for deed in doings.deeds)),
             ("CPU", f"{sampler.rows[-1][5] if sampler.rows else 0:.1f} CPU seconds"),
             *((curve.name, str(curve).split(": ", 1)[1]) for curve in curves)]
    verdict = "passed" if not problems else "FAILED"
    report.write(pathlib.Path(options.to) / "report.html", "Tallyman: a soak", verdict, facts,
                 plots, problems)
    for what, value in facts:
        print(f"{what}: {value}")


def soak(options, folder):
    engine = host.Engine(folder)
    engine.start()
    engine.import_busybox()
    steady = chain.Chain("steady", options.agent, folder, engine)
    killed = chain.Chain("killed", options.agent, folder, engine)
    sampler = chain.Sampler(steady, pathlib.Path(options.to) / "samples.tsv")
    doings = traffic.Traffic(engine, steady, killed, options.seed, options.lines)
    try:
        steady.start()
        killed.start()
        doings.start()
        sampler.start()
        doings.stop_event.wait(options.minutes * 60)
        doings.stop()
        try:
            host.await_that("all lines have arrived", lambda: all_arrived((steady, killed)),
                            ARRIVAL_SECONDS_MAX, pace=0.5)
        except AssertionError as error:
            print(error)
        sampler.end()
        curves = verdicts(sampler, options.minutes)
        problems = judge(steady, killed, doings, sampler, curves)
        draw(options, steady, killed, doings, sampler, curves, problems)
        for one in (steady, killed):
            if one.agent.stop() != 0:
                problems.append(f"{one.ledger.name}: it did not end well:\n"
                                f"{one.agent.program.said()[-2000:]}")
    finally:
        for one in (steady, killed):
            said = one.folder / "agent.log"
            if said.exists():
                (pathlib.Path(options.to) / f"{one.ledger.name}.log").write_bytes(said.read_bytes())
        engine.stop()
    return problems


def main():
    options = arguments()
    host.enter()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and clear away
    pathlib.Path(options.to).mkdir(parents=True, exist_ok=True)
    print(f"seed {options.seed}", flush=True)
    with host.scratch() as folder:
        problems = soak(options, folder)
    for problem in problems:
        print(f"FAIL {problem}")
    print(f"{options.to}/report.html: {'FAILED' if problems else 'passed'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
