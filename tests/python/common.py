"""Shared by the tests of the Python package: the package, and models that the program makes."""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests" / "cli")]
from harness import *  # noqa: the folder of models, and what runs the program
import numpy as np

import linnet as package  # harness has a function linnet

PROMPT = "Once upon a time"


@functools.cache
def stories():
    """The bundled model, for up to four sequences."""
    make("compile", ROOT / "models" / "linnet-stories", "--target", "cpu:native", "--max-batch", "4", "-o",
         FOLDER / "stories.linnet")
    return FOLDER / "stories.linnet"


@functools.cache
def classifier():
    make("init", "--preset", "tiny", "--seed", "3", "--labels", "eggs,ham,spam", FOLDER / "labels")
    make("compile", FOLDER / "labels", "--target", "cpu:native", "--max-batch", "2", "-o", FOLDER / "labels.linnet")
    return FOLDER / "labels.linnet"


@functools.cache
def model():
    return package.Model.load(stories())
