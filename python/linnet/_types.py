"""Results of calls, and types of arguments."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, NamedTuple, Sequence, Union

import numpy as np

Prompt = Union[str, Sequence[int], np.ndarray]  #: a text, or token ids
Progress = Callable[[float], None]  #: receives the finished fraction


class Token(NamedTuple):
    """A new token with the text that it completes, in whole characters. The last one of a text may have id -1."""

    id: int
    text: str
    sequence: int = 0  #: the prompt's index in a batch


@dataclass(frozen=True)
class Timings:
    prompt_tokens: int
    generated_tokens: int
    prompt_seconds: float  #: until the first new token is known
    generate_seconds: float  #: of the other generated_tokens - 1 tokens


@dataclass(frozen=True)
class Generation:
    """A continued text."""

    prompt: np.ndarray  #: int32 [prompt]
    ids: np.ndarray  #: int32 [new tokens]
    text: str  #: text of `ids`, cut at a stop text; empty without a tokenizer
    finish_reason: str  #: "length", "stop", "eos", "cancelled" or "context"
    timings: Timings


@dataclass(frozen=True)
class Classification:
    """A classifier's answer to one text."""

    label: str  #: the label of the largest score
    index: int  #: index of the label
    scores: np.ndarray  #: float32 [labels]
    probabilities: np.ndarray  #: float64 [labels]
    truncated: bool  #: the text was longer than the context, and its end was cut


@dataclass(frozen=True)
class Perplexity:
    perplexity: float  #: e^(nll)
    nll: float  #: mean negative log likelihood per token, in nats
    tokens: int  #: number of predicted tokens


@dataclass(frozen=True)
class MemoryUse:
    """Numbers of bytes. Weights are mapped from the file and shared by all processes."""

    weights: int
    states: int
    arena: int
    io: int
    scratch: int
    total: int


@dataclass(frozen=True)
class Device:
    device: str  #: a value of Model.load's `device`: "cpu", "vulkan:0"
    name: str
    kind: str  #: "processor", "driver" (a Vulkan driver that uses the processor) or "gpu"
    refusal: str  #: the reason why it cannot be used; empty if it can
    is_default: bool


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and tokens of a model."""

    n_layer: int
    n_head: int
    n_embd: int
    vocab_size: int
    n_positions: int  #: positions of the model, in tokens
    context: int  #: capacity of the KV cache, in tokens
    max_batch: int  #: most sequences in one call
    eos_ids: tuple[int, ...]
    bos_id: int | None
    pad_id: int | None
    labels: tuple[str, ...]  #: a classifier's labels; empty: a language model
    problem_type: str | None  #: a classifier's, as transformers spells it


@dataclass(frozen=True)
class Work:
    """Sums over all runs of a command or of a group of commands."""

    op: str  #: op of the graph: "matmul"
    place: str  #: location of a command ("h.3.attn") or of a group ("h.*.attn"); empty for all commands of an op
    kernel: str  #: empty for all commands of an op
    commands: int  #: number of commands in a call
    runs: int
    seconds: float
    least_seconds: float  #: of the fastest run
    share_of_time: float  #: of Phase.wall_seconds
    bytes: float  #: each operand is read once, each result is written once
    flops: float  #: a multiply-add counts as two operations
    bytes_per_second: float
    share_of_bandwidth: float  #: of Profile.read_bytes_per_second; above 1: the operands came from a cache
    flops_per_second: float
    share_of_peak: float  #: of Profile.f32_flops_per_second


@dataclass(frozen=True)
class Phase:
    """All calls of one kind. Its lists begin with the slowest element."""

    name: str  #: "prefill", "decode" or an entry
    calls: int
    tokens: int
    dispatches: int  #: of a GPU, in all calls
    barriers: int
    wall_seconds: float  #: the sum of the next three
    command_seconds: float  #: in commands
    between_seconds: float  #: in calls, outside commands
    host_seconds: float  #: between calls: choosing the token, its text
    commands: tuple[Work, ...]
    places: tuple[Work, ...]  #: commands of equal op, kernel and place in a layer
    ops: tuple[Work, ...]


@dataclass(frozen=True)
class Profile:
    """The time of a model by command."""

    model: str
    device: str
    threads: int
    read_bytes_per_second: float  #: this machine's limit, of all threads; 0: unknown
    f32_flops_per_second: float  #: this machine's limit of multiply-adds in registers; 0: unknown
    disturbed: bool  #: other programs took more than 5 % of the processor time
    disturbed_share: float
    dropped_calls: int  #: calls that were not recorded, because the profile was full
    phases: tuple[Phase, ...]

    def phase(self, name: str) -> Phase:
        """The phase of that name."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        raise KeyError(name)


@dataclass(frozen=True)
class BatchEvent:
    """The result of one step for one text of a batch."""

    number: int  #: the text, as Batch.add returned it
    id: int  #: the new token; -1: there is none
    text: str  #: the text that the token completes
    finish_reason: str | None  #: with the last event of a text; "failed": see `error`
    error: str
    logprob: float  #: natural logarithm of the token's probability, with `logprobs`
    top: tuple[tuple[int, float], ...]  #: the likeliest tokens with their log probabilities


@dataclass(frozen=True)
class BatchCounts:
    """How full a batch is, and what it did since it was opened."""

    rows: int
    running: int
    steps: int
    prompt_tokens: int
    shared_tokens: int
    generated_tokens: int
    cached_tokens: int
    evicted_tokens: int
