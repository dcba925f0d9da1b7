"""linnet compile --dump-dir: every file is there, the pictures are well-formed and nothing in them overlaps."""
import re, resource, signal
import xml.etree.ElementTree as xml
from harness import *

SVG = "{http://www.w3.org/2000/svg}"
ENTRIES = ["generate", "score", "hidden"]


def files_in(folder):
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


def contents(folder):
    return {name: (Path(folder) / name).read_bytes() for name in files_in(folder)}


@functools.cache
def dumped(target="cpu"):
    """(folder of the dump, the report) of the golden model."""
    folder = fresh("dump") / "new" / "dump"
    done = make("compile", GOLDEN / "tiny", "--target", target, "--json", "-o", folder.parent.parent / "a.linnet",
                "--dump-dir", folder)
    return folder, done.json, folder.parent.parent / "a.linnet"


def twelve_layers():
    """The golden model's first layer twelve times."""
    folder = fresh("twelve")
    header, body = read_header(GOLDEN / "tiny" / "model.safetensors")
    tensors = {name: info for name, info in header.items() if not re.search(r"\bh\.[1-9]", name)}
    for name in [name for name in tensors if re.search(r"\bh\.0\.", name)]:
        for layer in range(1, 12):
            tensors[re.sub(r"\bh\.0\.", f"h.{layer}.", name)] = tensors[name]
    # Tensors may not share bytes.
    data = b""
    for name, info in tensors.items():
        if name == "__metadata__":
            continue
        begin, end = info["data_offsets"]
        tensors[name] = {**info, "data_offsets": [len(data), len(data) + end - begin]}
        data += body[begin:end]
    write_safetensors(folder / "model.safetensors", tensors, data)
    config = json.loads((GOLDEN / "tiny" / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "n_layer": 12}))
    return folder


def lines_of(text, entry):
    body = re.search(rf"func\.func @{entry}\(.*?\n  }}", text, re.S).group(0)
    return re.findall(r"(?m)^    %\S+ = linnet\.(\w+)(.*)", body)


def ops_of(text, entry):
    """Names of the ops of an entry that are drawn: no params, no constants, nothing inside of linnet.fused."""
    return [op for op, _ in lines_of(text, entry) if op not in ("param", "constant")]


def computing(text, entry):
    """Those of them that are numbered: all but views."""
    return [op for op, rest in lines_of(text, entry) if op not in ("param", "constant") and "linnet.view" not in rest]


def boxes(root, kind):
    for rect in root.iter(SVG + "rect"):
        if rect.get("class") == kind:
            yield tuple(float(rect.get(key)) for key in ("x", "y", "width", "height"))


def texts(root, kind=None):
    """Boxes of the text that is not turned, for a font as wide as monospaced ones are."""
    for text in root.iter(SVG + "text"):
        if text.get("transform") is None and text.text and kind in (None, text.get("class")):
            size = float(text.get("font-size"))
            yield (float(text.get("x")), float(text.get("y")) - 0.75 * size, 0.602 * size * len(text.text), 0.75 * size)


def overlap(a, b, slack=0.01):
    return (a[0] + a[2] > b[0] + slack and b[0] + b[2] > a[0] + slack and a[1] + a[3] > b[1] + slack
            and b[1] + b[3] > a[1] + slack)


def first_overlap(all_boxes):
    """None, or the first two that overlap; sorted by the left edge, so that far ones are not compared."""
    all_boxes = sorted(all_boxes)
    for i, a in enumerate(all_boxes):
        for b in all_boxes[i + 1:]:
            if b[0] >= a[0] + a[2]:
                break
            if overlap(a, b):
                return a, b
    return None


class Dump(TestCase):
    def check_graph(self, svg, ops):
        """Every op is a box with its name, no two boxes overlap, nor two texts, nor an edge's text and a box."""
        root = xml.parse(svg).getroot()
        names = ["".join(text.itertext()) for text in root.iter(SVG + "text") if text.get("class") == "name"]
        drawn = [re.sub(r"^#\d+ ", "", name).split()[0] for name in names]
        self.assertEqual([name for name in drawn if name not in ("input", "state")], ops)
        nodes = list(boxes(root, "node"))
        self.assertEqual(len(nodes), len(names))
        self.assertIsNone(first_overlap(nodes))
        self.assertIsNone(first_overlap(list(texts(root))))
        self.assertIsNone(first_overlap(nodes + list(texts(root, "edge"))))
        width, height = float(root.get("width")), float(root.get("height"))
        for x, y, w, h in [*nodes, *texts(root)]:
            self.assertTrue(0 <= x and x + w <= width and 0 <= y and y + h <= height, (svg, x, y, w, h))
        return names

    def check_memory(self, svg, entry):
        """The picture of an entry's memory shows all of its arena and all of its commands."""
        arena, commands = entry["arena_bytes"], entry["commands"]
        root = xml.parse(svg).getroot()
        self.assertIn(f" and {commands} commands", "".join(root.itertext()))
        buffers = [{key: int(rect.get("data-" + key)) for key in ("first", "last", "offset", "size")} |
                   {name: rect.get("data-" + name) == "true" for name in ("in-place", "working")} for rect in root.iter(SVG + "rect")
                   if rect.get("class") == "buffer"]
        self.assertTrue(buffers)
        self.assertEqual(max((b["offset"] + b["size"] + 63) // 64 * 64 for b in buffers), arena)
        for i, a in enumerate(buffers):
            self.assertTrue(0 <= a["first"] <= a["last"] < commands, a)
            for b in buffers[i + 1:]:
                together = a["first"] <= b["last"] and b["first"] <= a["last"]
                apart = a["offset"] + a["size"] <= b["offset"] or b["offset"] + b["size"] <= a["offset"]
                taken_over = a["last"] == b["first"] and b["in-place"] and a["offset"] == b["offset"]
                one_of_them = a["working"] and b["working"]  # choices of one command: one of them runs
                self.assertTrue(not together or apart or taken_over or one_of_them, (a, b))
        self.assertIsNone(first_overlap(list(boxes(root, "buffer"))))
        self.assertIsNone(first_overlap(list(texts(root))))

    def test_every_file_is_there(self):
        folder, report, artifact = dumped()
        found = files_in(folder)
        expected = {"index.html", "dump.json", "cpu/00-input.mlir", "cpu/14-linnet-plan-memory.mlir"}
        for entry in ENTRIES:
            expected |= {f"cpu/{entry}.{part}" for part in
                         ("input.svg", "input.dot", "final.svg", "final.dot", "memory.svg")}
        self.assertLessEqual(expected, found)
        listed = set(json.loads((folder / "dump.json").read_text())["linnet_dump"])
        self.assertEqual(found - {"dump.json"}, listed)
        links = set(re.findall(r'(?:href|src)="([^"]+)"', (folder / "index.html").read_text()))
        self.assertEqual(links, listed - {"index.html"})
        # Passes are those of the report; one without a file is said to have changed nothing.
        passes = re.findall(r"<td class=n>\d+</td><td>([\w-]+)</td>", (folder / "index.html").read_text())
        self.assertEqual(passes, [p["name"] for p in report["phases"] if p["name"] in ("canonicalize", "cse")
                                  or p["name"].startswith("linnet-")])
        files = [name for name in found if re.match(r"cpu/\d\d-.*\.mlir$", name)]
        self.assertEqual((folder / "index.html").read_text().count("no change"), len(passes) - len(files) + 1)

    def test_ir_changes_from_file_to_file_and_can_be_read_back(self):
        folder, _, _ = dumped()
        stages = [path.read_text() for path in sorted((folder / "cpu").glob("*.mlir"))]
        self.assertGreater(len(stages), 5)
        for before, after in zip(stages, stages[1:]):
            self.assertNotEqual(before, after)
        self.assertIn("%h.0.attn.c_attn.matmul = linnet.matmul %h.0.ln_1.layer_norm, %h.0.attn.c_attn.weight", stages[0])
        self.assertNotIn("loc(", stages[0])
        # Ops that a pass does not change keep their names: planning only adds attributes.
        plan = re.sub(r"linnet\.slot = #linnet\.slot<\d+, \d+>", "", stages[-1])
        names = lambda text: re.findall(r"(?m)^ +(%\S+) = ", text)
        self.assertEqual(names(plan), names(stages[-2]))
        optimizer = Path(LINNET).parent / "linnet-opt"
        self.assertTrue(optimizer.exists())
        for path in sorted((folder / "cpu").glob("*.mlir")):
            done = subprocess.run([optimizer, path, "-o", os.devnull], capture_output=True, timeout=LIMIT)
            self.assertEqual(done.returncode, 0, done.stderr.decode())

    def test_pictures(self):
        folder, report, _ = dumped()
        program = report["programs"][0]
        first, last = (sorted((folder / "cpu").glob("*.mlir"))[i].read_text() for i in (0, -1))
        for entry in program["entries"]:
            name = entry["name"]
            self.check_graph(folder / f"cpu/{name}.input.svg", ops_of(first, name))
            drawn = self.check_graph(folder / f"cpu/{name}.final.svg", ops_of(last, name))
            numbers = [int(match[1]) for match in (re.match(r"#(\d+) ", text) for text in drawn) if match]
            self.assertEqual(numbers, list(range(len(computing(last, name)))))
            self.check_memory(folder / f"cpu/{name}.memory.svg", entry)
            self.assertEqual(entry["commands"], len(numbers) - 3)  # three layers: the two appends of a layer are one command

    def test_working_memory_is_in_the_plan(self):
        for dtype, target in (("int8", "cpu:native"), ("int4", "cpu:native"), ("f32", "vulkan"), ("int8", "vulkan")):
            folder = fresh("dump")
            report = make("compile", GOLDEN / "tiny", "--target", target, "--dtype", dtype, "--json", "-o",
                          folder / "a.linnet", "--dump-dir", folder / "dump").json
            name = target.split(":")[0]
            for entry in report["programs"][0]["entries"]:
                svg = folder / f"dump/{name}/{entry['name']}.memory.svg"
                if entry["name"] != "sample":  # its one command needs no arena
                    self.check_memory(svg, entry)
            # The text says the same.
            make("compile", GOLDEN / "tiny", "--target", target, "--dtype", dtype, "--emit", "planned", "-o",
                 folder / "planned.mlir")
            text = (folder / "planned.mlir").read_text()
            for entry in report["programs"][0]["entries"]:
                if entry["name"] != "sample":
                    self.assertRegex(text, rf"@{entry['name']}\(.*linnet.arena_bytes = {entry['arena_bytes']} : i64")
            self.assertIn("linnet.working = [#linnet.slot<", text)

    def test_emit_writes_the_code_of_kernels(self):
        folder = fresh("emitted")
        self.succeeds("compile", GOLDEN / "tiny", "--target", "cpu:native", "--emit", "llvm", "-o", folder / "m.ll")
        text = (folder / "m.ll").read_text()
        self.assertRegex(text, r"(?m)^define .*@\w*matmul")
        self.assertRegex(text, r"(?m)^define .*@\w*layer_norm")
        self.succeeds("compile", GOLDEN / "tiny", "--target", "vulkan", "--emit", "spirv", "-o", folder / "m.spvasm")
        text = (folder / "m.spvasm").read_text()
        self.assertIn("; SPIR-V", text)
        self.assertGreater(text.count("OpEntryPoint GLCompute"), 3)

    def test_edges_say_what_they_carry(self):
        folder, _, _ = dumped()
        for kind in ("svg", "dot"):
            text = (folder / f"cpu/generate.final.{kind}").read_text()
            self.assertIn("batch×seq×192 f32 · 36.0 KiB", text)  # 48 positions of 3 x 64
            self.assertIn("t0 = add a, b", text)  # inside of linnet.fused
            self.assertIn("h.0.mlp.c_fc.weight 64×256 f32 panel 16×64, 64.0 KiB", text)
        dot = (folder / "cpu/generate.final.dot").read_text()
        for layer in range(3):
            self.assertIn(f'label="h.{layer}"', dot)
        self.assertEqual(dot.count("{"), dot.count("}"))

    def test_kernels(self):
        folder, _, artifact = dumped()
        program = make("inspect", artifact, "--json").json["programs"][0]
        for code in program["code"]:
            level = folder / "cpu" / "kernels" / code["isa"]
            names = sorted(path.stem for path in level.glob("*.s"))
            self.assertEqual(len(names), program["kernels"])
            self.assertEqual(names, sorted(path.stem for path in level.glob("*.ll")))
            for name in names:
                assembly, ir = ((level / (name + ending)).read_text() for ending in (".s", ".ll"))
                self.assertRegex(assembly, rf"(?m)^{name}:")
                self.assertEqual(assembly.count(".globl"), 1)
                self.assertRegex(ir, rf"define void @{name}\(")
        page = (folder / "index.html").read_text()
        self.assertIn("generate h.0.attn.c_attn and 8 more", page)  # three layers in three entries

    def test_twelve_layers(self):
        folder = fresh("dump")
        report = make("compile", twelve_layers(), "--target", "cpu:native", "--json", "-o", folder / "a.linnet",
                      "--dump-dir", folder / "dump").json
        last = sorted((folder / "dump/cpu").glob("*.mlir"))[-1].read_text()
        for entry in report["programs"][0]["entries"]:
            svg = folder / f"dump/cpu/{entry['name']}.final.svg"
            self.check_graph(svg, ops_of(last, entry["name"]))
            self.check_memory(folder / f"dump/cpu/{entry['name']}.memory.svg", entry)
            root = xml.parse(svg).getroot()
            layers = {"".join(t.itertext()) for t in root.iter(SVG + "text") if t.get("class") == "layer-title"}
            self.assertEqual(layers, {f"h.{i}" for i in range(12)})
            self.assertLess(float(root.get("width")) / float(root.get("height")), 3)
            self.assertLess(float(root.get("height")), 6000)

    def test_the_same_again_over_an_earlier_dump(self):
        folder = fresh("dump")
        command = ["compile", GOLDEN / "tiny", "-o", folder / "a.linnet"]
        make(*command)
        plain = (folder / "a.linnet").read_bytes()
        make(*command, "--dump-dir", folder / "dump")
        self.assertEqual((folder / "a.linnet").read_bytes(), plain, "dumping changes the artifact")
        before = contents(folder / "dump")
        make(*command, "-O0", "--dump-dir", folder / "dump")
        self.assertNotIn("cpu/06-linnet-fuse-epilogue.mlir", files_in(folder / "dump"))
        make(*command, "--dump-dir", folder / "dump")
        after = contents(folder / "dump")
        self.assertEqual(before.keys(), after.keys())
        self.assertEqual([name for name in before if before[name] != after[name]], ["index.html"])  # has the times

    def test_other_targets(self):
        folder = fresh("dump")
        make("compile", GOLDEN / "tiny", "--target", "cpu:native,reference", "-o", folder / "a.linnet", "--dump-dir",
             folder / "dump")
        found = files_in(folder / "dump")
        self.assertIn("reference/generate.final.svg", found)
        self.assertNotIn("reference/generate.memory.svg", found)
        self.assertEqual({name.split("/")[0] for name in found if "/kernels/" in name}, {"cpu"})

    def test_a_pass_that_fails_leaves_what_came_before(self):
        folder = fresh("dump")
        self.fails("compile", GOLDEN / "tiny", "-o", folder / "a.linnet", "--dump-dir", folder / "dump",
                   "--pass-pipeline", "cse,linnet-verify-plan", says="linnet-verify-plan")
        self.leaves_nothing(folder, "dump")
        self.assertIn("cpu/01-cse.mlir", files_in(folder / "dump"))
        page = (folder / "dump/index.html").read_text()
        self.assertIn("failed", page)
        links = set(re.findall(r'(?:href|src)="([^"]+)"', page))
        self.assertEqual(links, files_in(folder / "dump") - {"index.html", "dump.json"})

    def test_folders_that_are_somebody_elses(self):
        folder = fresh("dump")
        command = ["compile", GOLDEN / "tiny", "-o", folder / "a.linnet", "--dump-dir"]
        (folder / "mine").mkdir()
        (folder / "mine/thesis.txt").write_text("years of work")
        self.fails(*command, folder / "mine", says=["mine", "expected a new or empty folder", "thesis.txt"])
        self.fails(*command, folder / "mine/thesis.txt", says="thesis.txt")
        self.fails(*command, "/dev/null/dump", says="/dev/null/dump")
        # A dump to which something was added, and a list that is none.
        make(*command, folder / "dump")
        (folder / "dump/cpu/notes.txt").write_text("look at layer 3")
        before = contents(folder / "dump")
        self.fails(*command, folder / "dump", says="cpu/notes.txt")
        self.assertEqual(contents(folder / "dump"), before)
        for text in ("{}", "[]", "not JSON", '{"linnet_dump": 1}'):
            (folder / "mine/dump.json").write_text(text)
            self.fails(*command, folder / "mine", says="dump.json")
        (folder / "mine/dump.json").write_text('{"linnet_dump": ["../thesis.txt", "thesis"]}')
        self.fails(*command, folder / "mine", says="thesis.txt")
        self.assertEqual((folder / "mine/thesis.txt").read_text(), "years of work")

    def test_a_disk_that_is_full(self):
        folder = fresh("dump")

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

        self.fails("compile", GOLDEN / "tiny", "-o", folder / "a.linnet", "--dump-dir", folder / "dump", preexec=limit,
                   says="dump/cpu/00-input.mlir")
        self.leaves_nothing(folder, "dump")
        # The remaining files do not hinder the next run.
        make("compile", GOLDEN / "tiny", "-o", folder / "a.linnet", "--dump-dir", folder / "dump")

    def test_names_of_any_kind(self):
        folder = fresh("dump")
        graph = """
func.func @"../../a<&b>"(%x: tensor<4x8xf32> {linnet.name = "x<&\\22"}) -> (tensor<4x8xf32> {linnet.name = "y"}) {
  %0 = linnet.relu %x : tensor<4x8xf32> loc("</text><script>\\01\\FF")
  %1 = linnet.tanh %0 : tensor<4x8xf32> loc("b.1.%x = \\"q\\"")
  %2 = linnet.add %1, %0 : tensor<4x8xf32>, tensor<4x8xf32> loc("%s' NAME")
  return %2 : tensor<4x8xf32>
}
"""
        graph = graph.replace('\\"', "\\22")
        (folder / "graph.mlir").write_text(graph.replace("NAME", "long" * 200))
        make("compile", folder / "graph.mlir", "-o", folder / "a.linnet", "--dump-dir", folder / "dump")
        self.leaves_nothing(folder, "graph.mlir", "a.linnet", "dump")
        pictures = [name for name in files_in(folder / "dump") if name.endswith(".svg")]
        self.assertEqual(len(pictures), 3)
        for name in pictures:
            root = xml.parse(folder / "dump" / name).getroot()
            self.assertIsNone(first_overlap(list(texts(root))), name)
            self.assertFalse(list(root.iter("script")))
        optimizer = Path(LINNET).parent / "linnet-opt"
        for path in (folder / "dump/cpu").glob("*.mlir"):
            done = subprocess.run([optimizer, path, "-o", os.devnull], capture_output=True, timeout=LIMIT)
            self.assertEqual(done.returncode, 0, done.stderr.decode())


if __name__ == "__main__":
    main()
