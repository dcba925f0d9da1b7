"""Artifacts are byte-for-byte reproducible, and hold no path of the machine that made them."""
import hashlib
from harness import *

GRAPH = """func.func @main(%x: tensor<2x4xf32>) -> tensor<2x3xf32> {
  %w = linnet.param "w" : tensor<4x3xf32>
  %y = linnet.matmul %x, %w : tensor<2x4xf32>, tensor<4x3xf32>
  %z = linnet.relu %y : tensor<2x3xf32>
  return %z : tensor<2x3xf32>
}
"""


def elsewhere(model, name):
    """A copy in another folder, under another name, with other times and another order of creation."""
    folder = fresh("elsewhere") / name
    folder.mkdir()
    for file in sorted(model.iterdir(), reverse=True):
        shutil.copy(file, folder / file.name)
    return folder


class Reproducible(TestCase):
    def no_paths(self, artifact, *others):
        content = artifact.read_bytes()
        for path in (FOLDER, ROOT, Path.home(), Path(tempfile.gettempdir()), *others):
            if path != Path("/"):
                self.assertNotIn(str(path).encode(), content, artifact)

    def compiled(self, to, *args, cwd=None, tmp=None):
        env = environment(TMPDIR=str(tmp or fresh("tmp")), HOME=str(fresh("home")))
        self.succeeds("compile", *args, "-o", to, cwd=cwd, env=env)
        return to.read_bytes()

    def test_checkpoints(self):
        for model, dtype in ((tiny(), "f32"), (GOLDEN / "tiny", "int8")):
            with self.subTest(model=model.name, dtype=dtype):
                copy = elsewhere(model, "another-name-17")
                options = ["--target", "cpu,vulkan,reference", "--dtype", dtype]
                here, there = fresh("a") / "one.linnet", fresh("b") / "two.linnet"
                first = self.compiled(here, model, *options)
                # From inside of the copy, by a relative name, to the same bytes.
                second = self.compiled(there, ".", *options, cwd=copy)
                self.assertEqual(hashlib.sha256(first).hexdigest(), hashlib.sha256(second).hexdigest())
                self.no_paths(here, model, copy)
                self.assertNotIn(b"another-name-17", second)

    def test_a_gguf_by_any_name(self):
        folder = fresh("gguf")
        self.succeeds("export", tiny(), "--format", "gguf", "-o", folder / "one.gguf")
        (folder / "two").mkdir()
        shutil.copy(folder / "one.gguf", folder / "two" / "second.gguf")
        first = self.compiled(folder / "1.linnet", folder / "one.gguf", "--target", "vulkan")
        self.assertEqual(first, self.compiled(folder / "2.linnet", "two/second.gguf", "--target", "vulkan", cwd=folder))
        self.no_paths(folder / "1.linnet")

    def test_graphs(self):
        folders = [fresh("graph"), fresh("other")]
        artifacts = []
        for folder in folders:
            (folder / "graph.mlir").write_text(GRAPH)
            header = {"w": {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48]}}
            write_safetensors(folder / "w.safetensors", header, struct.pack("<12f", *range(12)))
            options = ["--weights", folder / "w.safetensors", "--target", "cpu,vulkan,reference"]
            artifacts.append(self.compiled(folder / "m.linnet", folder / "graph.mlir", *options))
            self.no_paths(folder / "m.linnet", folder)
        self.assertEqual(*artifacts)
        commands = self.succeeds("inspect", folders[0] / "m.linnet", "--commands", "--json").json
        places = {c["location"] for p in commands["programs"] for e in p["entries"] for c in e["command_list"]}
        self.assertIn("graph.mlir:3", places)

    def test_the_cache(self):
        """An artifact in the cache is equal to that of `linnet compile` for this machine."""
        env = environment(LINNET_CACHE_DIR=str(fresh("cache")))
        self.succeeds("run", GOLDEN / "tiny", "--ids", "1", "-n", 1, env=env)
        cached, = (Path(env["LINNET_CACHE_DIR"]) / "compiled").glob("*.linnet")
        self.assertEqual(cached.read_bytes(), self.compiled(fresh("plain") / "m.linnet", GOLDEN / "tiny", "--target",
                                                            "cpu:native"))

    def test_the_source_names_the_content(self):
        model = elsewhere(tiny(), "changed")
        sources = []
        for change in (False, True):
            if change:
                header, body = read_header(model / "model.safetensors")
                write_safetensors(model / "model.safetensors", header, bytes([body[0] ^ 1]) + body[1:])
            artifact = fresh("source") / "m.linnet"
            self.compiled(artifact, model, "--target", "vulkan")
            sources.append(self.succeeds("inspect", artifact, "--json").json["source"])
        for source in sources:
            self.assertRegex(source, r"^xxh3-64 [0-9a-f]{16}$")
        self.assertNotEqual(*sources)


if __name__ == "__main__":
    main()
