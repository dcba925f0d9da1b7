"""Compiling, finetuning and profiling, by the `linnet` program."""
from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Sequence

from ._c import Error
from ._types import Phase, Profile, Work

_PROGRESS = re.compile(r"linnet: (\d+)% (.*)")


@dataclass(frozen=True)
class Report:
    """What a command wrote."""

    output: str  #: the path of the artifact or of the checkpoint
    details: dict[str, Any]  #: what `--json` prints


def program() -> str:
    """The path of `linnet`. Tries LINNET_PROGRAM, a build next to this package's sources, then PATH."""
    if os.environ.get("LINNET_PROGRAM"):
        return os.environ["LINNET_PROGRAM"]
    built = Path(__file__).resolve().parents[2] / "build" / "release" / "bin" / "linnet"
    found = str(built) if built.exists() else shutil.which("linnet")
    if not found:
        raise Error("expected the program linnet on PATH or in LINNET_PROGRAM, found none")
    return found


def compile(path: str | os.PathLike, *, output: str | os.PathLike | None = None, target: str | Sequence[str] = "cpu",
            dtype: str | None = None, max_context: int | None = None, max_batch: int | None = None,
            kv_cache: str | None = None, **options: Any) -> Report:
    """Compiles a checkpoint, a .gguf file or an .mlir file to an artifact: `linnet compile`.

    output: the artifact; None: the input's name with .linnet in the current directory.
    target: "cpu", "cpu:native", "vulkan", "vulkan:native", "reference", or several of them.
    dtype: type of weights: "f32", "bf16", "f16", "int8", "int4", "int4a", "keep" or "auto". None: "keep" for a GGUF
      file with quantized weights, "f32" otherwise.
    options: others of the command, spelled with underscores: calibration="text.txt", verify_passes=True.
    """
    if output is None:
        output = Path(Path(path).name).with_suffix(".linnet") if Path(path).is_file() else f"{Path(path).name}.linnet"
    given = {"target": target if isinstance(target, str) else ",".join(target), "dtype": dtype,
             "max_context": max_context, "max_batch": max_batch, "kv_cache": kv_cache, **options}
    details = _run(["compile", os.fspath(path), "-o", os.fspath(output), *_words(given)], None)
    return Report(os.fspath(output), details)


def finetune(path: str | os.PathLike, *, data: str | os.PathLike, task: str, method: str, output: str | os.PathLike,
             progress: Callable[[float | None, str], Any] | None = None, progress_every: float = 1.0,
             **options: Any) -> Report:
    """Trains a checkpoint on texts: `linnet finetune`. The result is a checkpoint, for compile().

    task: "classify" or "lm". method: "head", "layers", "partial" or "full". output: a directory.
    progress: called with the finished fraction and a text (step, loss, time left) every `progress_every` seconds, and
    with None and a text for each evaluation and note. If it raises, training ends with a checkpoint, as with ctrl-C.
    options: others of the command, spelled with underscores: lr=1e-3, steps=200, last_layers=2.
    """
    given = {"data": os.fspath(data), "task": task, "method": method, "progress_every": progress_every, **options}
    details = _run(["finetune", os.fspath(path), "-o", os.fspath(output), *_words(given)], progress)
    return Report(os.fspath(output), details)


def profile(path: str | os.PathLike, *, n_prompt: int | None = None, n_gen: int | None = None, batch: int | None = None,
            repetitions: int | None = None, device: str | None = None, threads: int | None = None) -> Profile:
    """The time of a model by command: `linnet profile`.

    path: a language model to run, or a trace that `linnet run --profile` wrote.
    n_prompt, n_gen: tokens of the prompt, and tokens to generate after it (128 and 32, or what fits). batch: sequences
    at a time (1). repetitions: runs after one to warm up (3).
    device: as in Model.load. threads: None: OMP_NUM_THREADS, else one per core.
    """
    given = {"n_prompt": n_prompt, "n_gen": n_gen, "batch": batch, "repetitions": repetitions, "device": device,
             "threads": threads}
    found = _run(["profile", os.fspath(path), *_words(given)], None)
    limits = found["limits"]
    return Profile(
        model=found["model"], device=found["device"], threads=limits["threads"],
        read_bytes_per_second=limits["read_bytes_per_second"], f32_flops_per_second=limits["f32_flops_per_second"],
        disturbed=found["disturbed"], disturbed_share=found["disturbed_share"], dropped_calls=found["dropped_calls"],
        phases=tuple(_phase(one) for one in found["phases"]))


def _phase(found: dict[str, Any]) -> Phase:
    lists = {name: tuple(_work(one) for one in found[name]) for name in ("commands", "places", "ops")}
    return Phase(**{**{field: found[field] for field in Phase.__dataclass_fields__}, **lists})


def _work(found: dict[str, Any]) -> Work:
    identity = {"place": found.get("place", found.get("location", "")), "kernel": found.get("kernel", ""),
                "commands": found.get("commands", 1)}
    return Work(**identity, **{field: found[field] for field in Work.__dataclass_fields__ if field not in identity})


def _words(options: dict[str, Any]) -> list[str]:
    """Options as words of a command. True is a flag, None and False are left out, a list repeats the option."""
    words = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            words.append(flag)
        elif value is not None and value is not False:
            for one in value if isinstance(value, (list, tuple)) else [value]:
                words += [flag, str(one)]
    return words


def _run(arguments: list[str], progress: Callable[[float | None, str], Any] | None) -> dict[str, Any]:
    """Runs the program with --json. Standard output goes to a file, so that the program never waits for a reader."""
    command = [program(), *arguments, "--json"]
    with tempfile.TemporaryFile() as out:
        try:
            # A session of its own: the terminal's ctrl-C reaches this process alone, which forwards it once.
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                       start_new_session=True)
        except OSError as error:
            raise Error(f"{command[0]}: cannot run: {error.strerror}") from None
        lines: list[str] = []
        messages = process.stderr
        assert messages is not None  # a pipe
        try:
            for raw in messages:
                line = raw.decode("utf-8", "replace").rstrip("\n")
                lines.append(line)
                _report(line, progress)
            code = process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            messages.read()
            process.wait()
            raise
        finally:
            messages.close()
        if code != 0:
            errors = [line for line in lines if line.startswith("linnet: error: ")]
            raise Error(errors[-1].removeprefix("linnet: error: ") if errors else
                        f"{' '.join(command)}: ended with {code}: {lines[-1] if lines else 'no message'}")
        out.seek(0)
        return json.loads(out.read())


def _report(line: str, progress: Callable[[float | None, str], Any] | None) -> None:
    if progress is None or line.startswith("linnet: error: "):
        return
    if found := _PROGRESS.fullmatch(line):
        progress(int(found[1]) / 100, found[2])
    elif line.startswith("linnet: "):
        progress(None, line.removeprefix("linnet: "))
