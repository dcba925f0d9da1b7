"""linnet grad: PyTorch's loss and gradients of the golden checkpoints, and inputs that cannot be meant."""
import array
from harness import *


def floats(path):
    header, body = read_header(path)
    return {name: array.array("f", body[slice(*info["data_offsets"])]) for name, info in header.items()
            if name != "__metadata__" and info["dtype"] == "F32"}


def integers(path, name):
    header, body = read_header(path)
    return header[name]["shape"], array.array("q", body[slice(*header[name]["data_offsets"])])


def difference(found, expected):
    largest = max(map(abs, expected)) or 1
    return max(abs(a - b) for a, b in zip(found, expected, strict=True)) / largest


class Grad(TestCase):
    def inputs(self, folder, name):
        for which, file in (("input_ids", "ids"), ("labels", "labels")):
            shape, values = integers(GOLDEN / name / "expected.safetensors", which)
            write_npy(folder / f"{file}.npy", "<i8", tuple(shape), values)
        return ("--ids", folder / "ids.npy", "--labels", folder / "labels.npy")

    def test_golden(self):
        for name, target in (("tiny", "cpu"), ("odd", "cpu"), ("odd", "reference"), ("tiny", "vulkan"), ("odd", "vulkan")):
            if target == "vulkan" and not has_vulkan():
                continue
            with self.subTest(name=name, target=target):
                folder = fresh(f"grad-{name}-{target}")
                out = folder / "grad.safetensors"
                told = self.succeeds("grad", GOLDEN / name, *self.inputs(folder, name), "--target", target, "-o", out,
                                     "--json").json
                expected = floats(GOLDEN / name / "expected.safetensors")
                found = floats(out)
                self.assertAlmostEqual(found["loss"][0], expected["losses"][0], delta=1e-4 * expected["losses"][0])
                self.assertAlmostEqual(told["loss"], found["loss"][0], places=5)
                wanted = {key.removeprefix("grad."): value for key, value in expected.items() if key.startswith("grad.")}
                self.assertEqual(set(found), set(wanted) | {"loss"})
                self.assertEqual(told["gradients"], len(wanted))
                for key, value in wanted.items():
                    self.assertLess(difference(found[key], value), 1e-4, key)

    def test_bad_inputs(self):
        folder = fresh("grad-bad")
        good = self.inputs(folder, "tiny")
        out = folder / "out.safetensors"
        shape, ids = integers(GOLDEN / "tiny" / "expected.safetensors", "input_ids")

        def refused(option, descr, form, values, says):
            write_npy(folder / "bad.npy", descr, form, values)
            args = [folder / "bad.npy" if before == option else arg for before, arg in zip((None, *good), good)]
            self.fails("grad", GOLDEN / "tiny", *args, "-o", out, says=says)
            self.assertFalse(out.exists())
        refused("--labels", "<i8", (len(ids),), ids, ("expected labels of shape", f"found [{len(ids)}]"))
        refused("--ids", "<i8", (len(ids),), ids, ("expected ids of shape [B, T]", f"found [{len(ids)}]"))
        refused("--labels", "<i8", tuple(shape), [10**6] + list(ids[1:]), ("element 0 is 1000000", "-100"))
        refused("--labels", "<i8", tuple(shape), list(ids[:-1]) + [-2], f"element {len(ids) - 1} is -2")
        refused("--labels", "<i8", tuple(shape), [-100] * len(ids), "there is no loss")
        refused("--ids", "<i8", tuple(shape), [-1] + list(ids[1:]), "element 0 is -1, expected from 0 to")
        refused("--ids", "<f4", tuple(shape), [0.0] * len(ids), ("expected int64", "found <f4"))
        refused("--ids", "<i8", (1, 1000), [1] * 1000, "")
        (folder / "bad.npy").write_bytes(b"nothing")
        self.fails("grad", GOLDEN / "tiny", "--ids", folder / "bad.npy", *good[2:], "-o", out, says="not a .npy file")
        self.fails("grad", folder / "nothing", *good, "-o", out, says="nothing")
        self.fails("grad", GOLDEN / "tiny", *good, "-o", out, "--target", "abacus", says="unknown target 'abacus'")
        self.fails("grad", GOLDEN / "tiny", *good, "-o", out, "--target", "vulkan:nobody", says="nobody")
        self.assertFalse(out.exists())


if __name__ == "__main__":
    main()
