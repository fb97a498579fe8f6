"""EvalPlus's rule: a candidate passes a group of inputs when it gives the reference's output for each of them.

Floats within `atol` (1e-6 where a problem names none) plus 1e-7 of the expected value; exactly equal otherwise. Problems
with more than one right answer have rules of their own. Each input has 1 s of a processor, or four times what the reference took.

Source: evalplus/eval of evalplus (0.3): which problems are special, tolerances, time limits.
"""

import copy
import json
import math
import signal
import time

from mbppInputs import as_python

# Outputs whose order and repetition do not matter; outputs of which only "something or None" matters.
ANY_ORDER = {
    "similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly", "larg_nnum", "intersection_array",
    "find_dissimilar", "Diff",
}  # fmt: skip
ANY_THING = {"check_str", "text_match_three", "text_starta_endb"}
LEAST_SECONDS, TIMES_THE_REFERENCE = 1.0, 4.0


class TooLong(BaseException):
    pass


def compare_outputs(job):
    problem = json.loads(job["problem"])
    task, entry, atol = problem["task_id"], problem["entry_point"], problem["atol"]
    is_mbpp = task.startswith("Mbpp/")
    # One problem of MBPP+ has an empty object in place of its list.
    groups = {name: as_python(task, list(problem[f"{name}_input"])) for name in job["groups"]}
    try:
        reference = function_of(problem["prompt"] + problem["canonical_solution"], entry)
        expected = {name: [timed(reference, arguments) for arguments in inputs] for name, inputs in groups.items()}
    except Exception as error:
        return {"verdict": "broken", "detail": told(error), "groups": {}}
    passed, detail = {}, ""
    signal.signal(signal.SIGPROF, stop)
    try:
        candidate = function_of(job["candidate"], entry)
    except BaseException as error:
        return {"verdict": "failed", "detail": told(error), "groups": {name: False for name in groups}}
    for name, inputs in groups.items():
        passed[name] = True
        for arguments, (wanted, seconds) in zip(inputs, expected[name]):
            try:
                signal.setitimer(signal.ITIMER_PROF, max(LEAST_SECONDS, TIMES_THE_REFERENCE * seconds))
                given = candidate(*copy.deepcopy(arguments))
                signal.setitimer(signal.ITIMER_PROF, 0)
                right = is_right(given, wanted, arguments, entry, atol, is_mbpp)
            except BaseException as error:
                right, detail = False, detail or told(error)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            if not right:
                passed[name] = False
                detail = detail or f"another output than the reference's in {name}"
                break
    return {"verdict": "passed" if all(passed.values()) else "failed", "detail": detail, "groups": passed}


def function_of(source, entry):
    names = {"__name__": "program"}
    exec(compile(source, "<program>", "exec"), names)
    return names[entry]


def timed(function, arguments):
    began = time.process_time()
    output = function(*copy.deepcopy(arguments))
    return output, time.process_time() - began


def is_right(given, wanted, arguments, entry, atol, is_mbpp):
    if entry == "find_zero" and not is_mbpp:
        (coefficients,) = arguments
        return abs(sum(c * math.pow(given, i) for i, c in enumerate(coefficients))) <= atol
    if is_mbpp and entry in ANY_ORDER:
        return set(given) == set(wanted)
    if is_mbpp and entry in ANY_THING:
        return given == wanted if isinstance(given, bool) else (given is not None) == bool(wanted)
    if given == wanted:
        return True
    if atol == 0 and is_floats(wanted):
        atol = 1e-6
    return atol != 0 and type(given) is type(wanted) and is_close(given, wanted, atol)


def is_floats(value):
    if isinstance(value, (list, tuple)):
        return all(isinstance(one, float) for one in value)
    return isinstance(value, float)


def is_close(given, wanted, atol):
    if isinstance(wanted, (list, tuple)):
        return len(given) == len(wanted) and all(is_close(g, w, atol) for g, w in zip(given, wanted))
    if isinstance(wanted, (int, float, complex)):
        return given == wanted or abs(given - wanted) <= atol + 1e-7 * abs(wanted) or (given != given and wanted != wanted)
    return given == wanted


def stop(*_):
    raise TooLong("an input took too long")


def told(error):
    return f"{type(error).__name__}: {error}"[:300]
