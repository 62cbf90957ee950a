"""The contract of a test cell, read from its text.

A test cell imports what it needs and uses the student's names, and the driver functions of
read-only cells, only by calling them with plain data. So it can run in another process than the
student's code. It may also use what the instructor's cells make without the student's names:
`referee.supplies`. What the text cannot show (are the arguments plain data?) is seen when it runs:
`referee.plain`.
"""

import ast
import builtins
import symtable

ALWAYS = set(dir(builtins)) | {"__name__"}
UNSEEDED_CLASSES = ("numpy.random.default_rng", "numpy.random.RandomState", "random.Random")
SEEDS = {"numpy.random": "numpy.random.seed", "random": "random.seed", "torch": "torch.manual_seed"}
TORCH_RANDOM = {
    *("bernoulli", "multinomial", "normal", "poisson", "rand", "rand_like", "randint"),
    *("randint_like", "randn", "randn_like", "randperm"),
}
IN_THE_TEST = "call that code in the test cell, or in a function of a read-only cell"
NOT_FUNCTIONS = {"Generator", "PCG64", "Philox", "SFC64", "MT19937", "SeedSequence"}


def breaches(source, own, drivers, others, made=(), outcomes=()):
    """Return what in a test cell breaks the contract, as (line, message) pairs.

    Parameters
    ----------
    source : text of the test cell
    own : names that the answer cell of the question defines
    drivers : names of the functions of read-only cells
    others : dict from names that other answer cells define to the grade id of their cell
    made : names that the instructor's cells give to test cells
    outcomes : names of those cells that come out of the student's code
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return [(error.lineno or 1, f"is not plain Python: {error.msg}")]
    callable_names = set(own) | set(drivers)
    table = symtable.symtable(source, "test", "exec")
    binds, takes = bound(table), free(table)
    found = []
    for name in sorted(_bound_anywhere(table) & callable_names):
        found.append((_first(tree, name), f"binds {name!r} anew, a name that it is to test"))
    known = ALWAYS | binds | callable_names | set(made)
    for name in sorted(takes - known):
        if name in others:
            text = f"uses {name!r} of question {others[name]}; supply a version of it instead"
        elif name in outcomes:
            text = f"uses {name!r}, which comes out of the student's code; {IN_THE_TEST}"
        else:
            text = f"uses {name!r} without importing or defining it"
        found.append((_first(tree, name), text))
    found += _uses(tree, callable_names, _not_data(tree))
    found += _unseeded(tree)
    return sorted(set(found))


def bound(table):
    """Return the names that a text binds at its top level; `table` is a symbol table."""
    return {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}


def _bound_anywhere(table):
    names = {
        s.get_name()
        for s in table.get_symbols()
        if s.is_assigned() or s.is_imported() or s.is_parameter()
    }
    return names.union(*(_bound_anywhere(child) for child in table.get_children()))


def free(table):
    """Names that are looked up in the module or in builtins, from any scope of it."""
    module = table.get_type() == "module"
    names = {
        s.get_name() for s in table.get_symbols() if s.is_referenced() and (module or s.is_global())
    }
    return names.union(*(free(child) for child in table.get_children()))


def _first(tree, name):
    lines = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == name]
    return min(lines, default=1)


def _not_data(tree):
    """Names that the cell gives to functions, classes and modules."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return names


def _uses(tree, names, not_data):
    """Find uses of names that are not calls, and calls with what is not plain data."""
    called = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            called[id(node.func)] = node
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load):
            if id(node) not in called:
                found.append((node.lineno, f"uses {node.id!r} otherwise than by calling it"))
                continue
            call = called[id(node)]
            for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
                if _is_code(argument, not_data):
                    text = (
                        f"calls {node.id!r} with {ast.unparse(argument)}, which is not plain data"
                    )
                    found.append((call.lineno, text))
    return found


def _is_code(node, not_data):
    if isinstance(node, ast.Lambda | ast.GeneratorExp):
        return True
    if isinstance(node, ast.Name):
        return node.id in not_data
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return any(_is_code(element, not_data) for element in node.elts)
    if isinstance(node, ast.Dict):
        return any(_is_code(value, not_data) for value in node.values)
    return isinstance(node, ast.Starred) and _is_code(node.value, not_data)


def _unseeded(tree):
    """Find random numbers whose seed the cell does not fix."""
    aliases = _aliases(tree)
    calls = [
        (node, name)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and (name := _dotted(node.func, aliases))
    ]
    seeded = {name for node, name in calls if name in SEEDS.values() and _has_seed(node)}
    found = []
    for node, name in calls:
        family, _, function = name.rpartition(".")
        if name in UNSEEDED_CLASSES:
            if not _has_seed(node):
                found.append((node.lineno, f"calls {name} without a seed"))
        elif family in SEEDS and name != SEEDS[family] and function not in NOT_FUNCTIONS:
            random = family != "torch" or function in TORCH_RANDOM
            generator = any(keyword.arg == "generator" for keyword in node.keywords)
            if random and not generator and SEEDS[family] not in seeded:
                found.append((node.lineno, f"calls {name} without {SEEDS[family]} before it"))
    return found


def _has_seed(call):
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(not (isinstance(value, ast.Constant) and value.value is None) for value in values)


def _aliases(tree):
    """Map the names that imports give to what they stand for, `np` to `numpy`."""
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                aliases[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return aliases


def _dotted(node, aliases):
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in aliases:
        return None
    return ".".join([aliases[node.id], *reversed(parts)])
