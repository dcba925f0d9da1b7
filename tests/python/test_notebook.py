"""examples/python/tour.ipynb prints what it stores. notebook.py writes the outputs anew."""
from common import *

import notebook

FILE = ROOT / "examples" / "python" / "tour.ipynb"


class Notebook(TestCase):
    def test_every_cell_prints_what_it_stores(self):
        folder, here = fresh("notebook"), os.getcwd()
        (folder / "models").symlink_to(ROOT / "models")
        (folder / "examples" / "python").mkdir(parents=True)
        os.chdir(folder / "examples" / "python")
        try:
            for number, (cell, found) in enumerate(notebook.cells(FILE), 1):
                self.assertEqual(cell["outputs"], found, notebook.text(cell["source"]))
                self.assertEqual(cell["execution_count"], number)
        finally:
            os.chdir(here)
        self.assertGreater(number, 8)

    def test_the_file_has_the_format_of_notebooks(self):
        book = json.loads(FILE.read_text())
        self.assertEqual((book["nbformat"], book["nbformat_minor"]), (4, 5))
        self.assertEqual(book["metadata"]["kernelspec"]["name"], "python3")
        ids = [cell["id"] for cell in book["cells"]]
        self.assertEqual(len(set(ids)), len(ids))
        for cell in book["cells"]:
            expected = {"cell_type", "id", "metadata", "source"}
            if cell["cell_type"] == "code":
                expected |= {"execution_count", "outputs"}
            self.assertEqual(set(cell), expected)


if __name__ == "__main__":
    main()
