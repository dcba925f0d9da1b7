"""The C interface stays what runtime/c/abi.txt says: symbols, their version, signatures, struct layouts, constants."""
import os, re, subprocess, unittest
from pathlib import Path

import c_abi

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "runtime" / "include" / "linnet" / "c.h"
LIST = ROOT / "runtime" / "c" / "abi.txt"
RUNTIME, LAYOUT = os.environ["LINNET_RUNTIME"], os.environ["LINNET_C_LAYOUT"]


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class Abi(unittest.TestCase):
    def test_the_header_is_as_listed(self):
        """Programs that were built before must run, so lines may only be added, and LINNET_C_ABI grows by one. c_abi.py
        describe writes the list."""
        self.assertEqual(c_abi.describe(HEADER, output(LAYOUT)), LIST.read_text())

    def test_exported_symbols_are_the_declared_functions(self):
        exported = {}
        for line in output("nm", "-D", "--defined-only", "--with-symbol-versions", RUNTIME).splitlines():
            name, _, version = line.split()[-1].partition("@@")
            if name.startswith("linnet_"):
                exported[name] = version
        self.assertEqual(sorted(exported), sorted(c_abi.functions(HEADER)))
        later = {"linnet_session_fork": "LINNET_2"}
        self.assertEqual(exported, {name: later.get(name, "LINNET_1") for name in exported})

    def test_the_soname(self):
        self.assertIn("[liblinnet_runtime.so.0.1]", output("readelf", "-d", RUNTIME))

    def test_the_page_states_the_threads_of_every_function(self):
        page = (ROOT / "docs" / "c-api.md").read_text().split("## Threads")[1].split("\n## ")[0]
        patterns = [re.findall(r"`(linnet_\w+\*?)`", line.split("|")[1]) for line in page.splitlines()
                    if line.startswith("| `")]
        plain = [one for row in patterns for one in row if not one.endswith("*")]
        families = [one for row in patterns for one in row if one.endswith("*")]
        declared = c_abi.functions(HEADER)
        self.assertEqual(len(plain), len(set(plain)))
        self.assertLessEqual(set(plain), set(declared))
        for name in declared:
            self.assertTrue(name in plain or any(name.startswith(one[:-1]) for one in families), name)
        for one in families:
            self.assertTrue(any(name.startswith(one[:-1]) and name not in plain for name in declared), one)

    def test_structs_have_no_implicit_padding(self):
        """A later field would lie in bytes that older callers left uninitialized."""
        size = place = None
        for line in output(LAYOUT).splitlines() + ["struct end 0"]:
            words = line.split()
            if words[0] == "struct":
                self.assertEqual(place, size, line)
                name, size, place = words[1], int(words[2]), 0
                continue
            self.assertEqual(int(words[1]), place, f"{name}.{words[0]}")
            place += int(words[2])

    def test_every_struct_begins_with_its_size(self):
        plain = {"linnet_token_bias", "linnet_token_logprob"}  # elements of arrays
        for name, fields in c_abi.structs(HEADER).items():
            self.assertEqual(fields[0] == "struct_size", name not in plain, name)


if __name__ == "__main__":
    unittest.main()
