"""Runs the cells of a notebook in order, without Jupyter. notebook.py FILE writes what they print into the file."""
import ast
import contextlib
import io
import json
import sys
from pathlib import Path


def text(lines):
    """The lines of a cell or of an output as one text."""
    return "".join(lines)


def outputs(source, names, number):
    """The outputs of a cell, as Jupyter stores them: what it prints, and the value of its last expression."""
    tree = ast.parse(source)
    last = ast.Expression(tree.body.pop().value) if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, f"cell {number}", "exec"), names)
        if last is not None:
            value = eval(compile(last, f"cell {number}", "eval"), names)
    found = []
    if printed.getvalue():
        found.append({"name": "stdout", "output_type": "stream", "text": printed.getvalue().splitlines(True)})
    if value is not None:
        found.append({"data": {"text/plain": repr(value).splitlines(True)}, "execution_count": number, "metadata": {},
                      "output_type": "execute_result"})
    return found


def cells(path):
    """(cell, its outputs now) of each code cell."""
    names = {"__name__": "__main__"}
    code = [cell for cell in json.loads(Path(path).read_text())["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(code, 1):
        yield cell, outputs(text(cell["source"]), names, number)


def write(path):
    book = json.loads(Path(path).read_text())
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    for number, (cell, (_, found)) in enumerate(zip(code, cells(path)), 1):
        cell["outputs"], cell["execution_count"] = found, number
    Path(path).write_text(json.dumps(book, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write(sys.argv[1])
