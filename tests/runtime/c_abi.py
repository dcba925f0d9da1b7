"""Describes the C interface: what linnet/c.h declares, as text that runtime/c/abi.txt holds.

    c_abi.py source HEADER           prints a C program that prints the sizes and offsets of all structs
    c_abi.py describe HEADER LAYOUT  prints the description; LAYOUT is a file with what that program prints"""
import re, sys
from pathlib import Path


def declarations(header):
    """The header without comments and preprocessor lines, one declaration a line."""
    text = re.sub(r"/\*.*?\*/", "", Path(header).read_text(), flags=re.S)
    text = re.sub(r"^#.*(\\\n.*)*$", "", text, flags=re.M).replace('extern "C" {', "")
    return re.sub(r"\s+", " ", text)


def functions(header):
    """{name: declaration}"""
    found = re.findall(r"LINNET_API ([^;]*?(linnet_\w+)\([^;]*\));", declarations(header))
    return {name: declaration for declaration, name in found}


def structs(header):
    """{name: [field]}"""
    out = {}
    for body, name in re.findall(r"typedef struct \w+ {([^}]*)} (\w+);", declarations(header)):
        out[name] = [re.search(r"(\w+)$", part.strip())[1] for one in body.split(";") for part in one.split(",")
                     if part.strip()]
    return out


def constants(header):
    """"NAME = VALUE" of each enumerator, and the version."""
    version = re.search(r"#define (LINNET_C_ABI) (\d+)", Path(header).read_text())
    return [" = ".join(version.groups())] + re.findall(r"LINNET_\w+ = -?\d+", declarations(header))


def callbacks(header):
    return re.findall(r"typedef (\w+ \(\*\w+\)\([^;]*\));", declarations(header))


def wrapped(declaration):
    """One parameter a line, so that a difference shows one parameter."""
    return declaration.replace("(", "(\n    ", 1).replace(", ", ",\n    ")


def source(header):
    lines = ["#include <linnet/c.h>", "#include <stdio.h>", "int main(void) {"]
    for name, fields in structs(header).items():
        lines.append(f'  printf("struct {name} %zu\\n", sizeof({name}));')
        lines += [f'  printf("  {field} %zu %zu\\n", offsetof({name}, {field}), sizeof((({name} *)0)->{field}));'
                  for field in fields]
    return "\n".join([*lines, "  return 0;", "}", ""])


def describe(header, layout):
    return "\n".join(["Constants", *constants(header), "", "Callbacks", *callbacks(header), "", "Functions",
                      *sorted(wrapped(one) for one in functions(header).values()), "", "Structs: size; offset and size of each field", layout])


if __name__ == "__main__":
    if sys.argv[1] == "source":
        print(source(sys.argv[2]), end="")
    else:
        print(describe(sys.argv[2], Path(sys.argv[3]).read_text()), end="")
