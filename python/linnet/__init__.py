"""Linnet: language models and classifiers that are compiled to one file.

    import linnet

    artifact = linnet.compile("gpt2", dtype="int8").output
    model = linnet.Model.load(artifact)
    print(model.generate("Once upon a time", max_new_tokens=20).text)
    for token in model.stream("Once upon a time"):
        print(token.text, end="", flush=True)

Failures are linnet.Error with one line. Long calls run without the GIL, and ctrl-C ends them.
"""
from ._batch import Batch
from ._c import LIBRARY as _LIBRARY
from ._c import Error
from ._model import Model, Tokenizer, devices
from ._program import Report, compile, finetune, profile
from ._session import Session, Stream
from ._types import (BatchCounts, BatchEvent, Classification, Device, Generation, MemoryUse, ModelConfig, Perplexity,
                     Phase, Profile, Timings, Token, Work)

#: Version of the runtime library.
__version__ = _LIBRARY.linnet_version().decode()

__all__ = ["Batch", "BatchCounts", "BatchEvent", "Classification", "Device", "Error", "Generation", "MemoryUse",
           "Model", "ModelConfig", "Perplexity", "Phase", "Profile", "Report", "Session", "Stream", "Timings", "Token",
           "Tokenizer", "Work", "compile", "devices", "finetune", "profile"]
