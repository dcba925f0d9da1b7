"""docs/python.md runs as written, in a folder that looks like the source folder."""
import doctest

from common import *


class Page(TestCase):
    def test_every_example_gives_what_the_page_shows(self):
        here, folder = os.getcwd(), fresh("page")
        for name in ("models", "examples"):
            (folder / name).symlink_to(ROOT / name)
        os.chdir(folder)
        try:
            found = doctest.testfile(str(ROOT / "docs" / "python.md"), module_relative=False)
        finally:
            os.chdir(here)
        self.assertGreater(found.attempted, 20)
        self.assertEqual(found.failed, 0)


if __name__ == "__main__":
    main()
