"""Artifacts that are damaged, truncated, foreign or of another version."""
import random
from harness import *


class Artifact(TestCase):
    def setUp(self):
        self.whole = golden("tiny").read_bytes()
        self.path = fresh("artifact") / "m.linnet"

    def refused(self, data, says="m.linnet", *, command=("run", "--ids", "1,2")):
        self.path.write_bytes(data)
        done = self.fails(command[0], self.path, *command[1:], says=says)
        self.leaves_nothing(self.path.parent, "m.linnet")
        return done.err

    def test_truncated(self):
        size = len(self.whole)
        for keep in (0, 1, 7, 8, 32, 63, 64, 65, 1000, size // 2, size - 64, size - 1):
            with self.subTest(keep=keep):
                self.refused(self.whole[:keep])
                self.refused(self.whole[:keep], command=("inspect",))

    def test_longer_than_it_says(self):
        self.refused(self.whole + b"\0")

    def test_foreign(self):
        for text in (b"hello", b"\x7fELF" + b"\0" * 100, b"PK\3\4" + b"x" * 500, b"\0" * 4096):
            self.refused(text)

    def test_of_another_version(self):
        for version in (0, 2, 2 ** 32 - 1):
            damaged = bytearray(self.whole)
            struct.pack_into("<I", damaged, 8, version)
            self.assertIn(str(version), self.refused(damaged, "version"))

    def test_a_line_end_conversion(self):
        self.refused(self.whole.replace(b"\r\n", b"\n"))

    def test_every_kind_of_damage_in_the_header(self):
        for offset in range(64):
            damaged = bytearray(self.whole)
            damaged[offset] ^= 0x41
            with self.subTest(offset=offset):
                self.refused(damaged, [])

    def test_damaged_metadata(self):
        draw = random.Random(11)
        begin, = struct.unpack_from("<Q", self.whole, 24)
        for _ in range(40):
            damaged = bytearray(self.whole)
            damaged[draw.randrange(begin, len(damaged))] ^= 1 << draw.randrange(8)
            self.refused(damaged)

    def test_damaged_weights_are_found_by_verify(self):
        damaged = bytearray(self.whole)
        header = self.succeeds("inspect", golden("tiny"), "--json").json
        self.assertEqual(header["verified"], False)
        damaged[len(damaged) // 3] ^= 0x10
        self.refused(damaged, command=("inspect", "--verify"))

    def test_an_empty_file_a_directory_a_device(self):
        self.refused(b"")
        self.fails("run", "/dev/null", "--ids", "1", says="/dev/null")
        self.fails("inspect", "/dev/null", says="/dev/null")

    def test_not_a_file_that_one_may_read(self):
        if os.geteuid() == 0:
            # Root reads everything: what remains to be told apart is a dangling link.
            link = fresh("link") / "m.linnet"
            link.symlink_to(link.parent / "gone")
            self.fails("run", link, "--ids", "1", says="No such file")
            return
        self.path.write_bytes(self.whole)
        self.path.chmod(0)
        self.fails("run", self.path, "--ids", "1", says="Permission denied")


if __name__ == "__main__":
    main()
