"""JSON has no tuples, sets or complex numbers; some problems of MBPP+ take them. Which: facts of EvalPlus's data.

Source: evalplus/data/mbpp.py, and the `contract` of each problem, which all converted inputs meet.
"""


def as_python(task, inputs):
    """Lists of arguments as the problem's function takes them; those of HumanEval stay as they are."""
    if not task.startswith("Mbpp/"):
        return inputs
    number = int(task.split("/")[1])
    for numbers, convert in RULES:
        if number in numbers:
            return [convert(arguments) for arguments in inputs]
    return inputs


def deeply(value):
    return tuple(deeply(one) for one in value) if isinstance(value, list) else value


def each(convert):
    return lambda arguments: [convert(one) for one in arguments]


def first(convert):
    return lambda arguments: [convert(arguments[0]), *arguments[1:]]


def list_of_tuples(values):
    return [tuple(one) for one in values]


def tuple_of_tuples(values):
    return tuple(tuple(one) for one in values)


def list_of_sets(values):
    return [set(one) if isinstance(one, list) and one else {} for one in values]


def inner_tuples(values):
    return tuple(tuple(one) if isinstance(one, list) else one for one in values)


RULES = [
    ({2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740, 744, 809}, each(tuple)),
    ({63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780}, each(list_of_tuples)),
    ({75, 413, 444, 753}, first(list_of_tuples)),
    ({106, 750}, lambda arguments: [arguments[0], tuple(arguments[1])]),
    ({115}, first(list_of_sets)),
    ({124}, lambda arguments: [float(arguments[0]), complex(arguments[1])]),
    ({250, 307, 405, 446, 617, 720, 763, 808}, first(tuple)),
    ({252}, first(complex)),
    ({259, 401, 445}, each(tuple_of_tuples)),
    ({278}, first(inner_tuples)),
    ({580, 615, 791}, each(deeply)),
    ({722}, first(lambda students: {name: tuple(values) for name, values in students.items()})),
]
