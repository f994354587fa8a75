"""Runs probe.py to the end, again after each file that killed it, and gathers what it says.

`python run_probe.py READER WHICH` prints a summary; see probe.py for both.
"""

import json
import os
import sys
import tempfile
import traceback


def run(reader, which):
    """What became of each file of a selection: a list of dicts; see probe.py."""
    found, first = [], 0
    while True:
        lines, code, error = _once(reader, which, first)
        found += [json.loads(line) for line in lines if line.startswith("{")]
        if "END" in lines:
            return found
        started = [line for line in lines if line[:1].isdigit()]
        if not started:
            raise RuntimeError(f"the probe did not start:\n{error}")
        number, name = started[-1].split(" ", 1)
        found.append({"name": name, "outcome": "KILLED", "text": f"exit status {code}: {error[-200:]}", "taken": 0})
        first = int(number) + 1


def _once(reader, which, first):
    """Run the probe in a fork of this process: what it printed, its exit status, and what it complained of."""
    import probe

    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            os.chdir(folder)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            sys.stdout = os.fdopen(1, "w", closefd=False)
            code = 1
            try:
                probe.main(reader, which, first)
                code = 0
            except BaseException:
                traceback.print_exc(file=sys.stdout)
            finally:
                sys.stdout.flush()
                os._exit(code)
        code = os.waitpid(child, 0)[1]
        output.seek(0)
        text = output.read().decode(errors="replace")
    return text.splitlines(), code, text[-1000:]


def summary(found):
    """How many files had which outcome, and what was at fault."""
    outcomes = {}
    for each in found:
        outcomes[each["outcome"]] = outcomes.get(each["outcome"], 0) + 1
    faults = [
        f"{each['name']}: {each['outcome']} {each['text']}" for each in found if each["outcome"] in ("FAULT", "KILLED")
    ]
    return outcomes, faults


if __name__ == "__main__":
    results = run(*sys.argv[1:3])
    outcomes, faults = summary(results)
    print("\n".join(faults))
    print(len(results), "files", outcomes)
    print("most memory", max((each["taken"], each["name"]) for each in results))
    print("slowest", sorted((each.get("seconds", 0), each["name"]) for each in results)[-3:])
