"""Whether two functions are the same text after renaming and formatting."""

import ast


def normal_form(definition):
    """Return a text that two definitions share exactly if they differ in no more than names.

    Docstrings, annotations, comments and layout are dropped; the names that the function itself
    binds are numbered in order of appearance. Names from outside (modules, builtins) stay.
    """
    tree = ast.parse(ast.unparse(definition)).body[0]
    tree.decorator_list = []
    tree.name = "f"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            if not isinstance(node, ast.Lambda) and ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
            if hasattr(node, "returns"):
                node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    tree = _PlainAssignments().visit(tree)
    return ast.dump(_Renaming(_bound(tree)).visit(tree))


class _PlainAssignments(ast.NodeTransformer):
    def visit_AnnAssign(self, node):
        self.generic_visit(node)
        if node.value is None:
            return ast.Pass()
        return ast.Assign(targets=[node.target], value=node.value, type_comment=None)


def _bound(tree):
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif (
            isinstance(node, ast.ExceptHandler | ast.FunctionDef) and node is not tree and node.name
        ):
            names.add(node.name)
    return names


class _Renaming(ast.NodeTransformer):
    def __init__(self, bound):
        self.bound, self.numbers = bound, {}

    def _renamed(self, name):
        if name not in self.bound:
            return name
        return self.numbers.setdefault(name, f"v{len(self.numbers)}")

    def visit_Name(self, node):
        return ast.Name(self._renamed(node.id), node.ctx)

    def visit_arg(self, node):
        return ast.arg(self._renamed(node.arg), None)

    def visit_ExceptHandler(self, node):
        node.name = node.name and self._renamed(node.name)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node):
        node.name = self._renamed(node.name)
        return self.generic_visit(node)
