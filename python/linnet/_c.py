"""The declarations of linnet/c.h for ctypes. tests/python compares them with runtime/c/abi.txt."""
import ctypes as c
import os
from pathlib import Path

OK = 0
FINISH = {0: None, 1: "length", 2: "stop", 3: "eos", 4: "cancelled", 5: "context", 6: "failed"}
POOLING = {"last": 0, "mean": 1, "first": 2}
PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")
DEVICE_KINDS = ("processor", "driver", "gpu")
SONAME = "liblinnet_runtime.so.0.1"
NEEDED_ABI = 2

Ids = c.POINTER(c.c_int32)
Texts = c.POINTER(c.c_char_p)
Handle = c.c_void_p
TokenCallback = c.CFUNCTYPE(c.c_int32, c.c_void_p, c.c_int64, c.c_int32, c.c_void_p, c.c_size_t)
LogitsCallback = c.CFUNCTYPE(c.c_int32, c.c_void_p, c.c_int64, c.c_void_p, c.c_size_t, c.c_void_p, c.c_size_t)
ProgressCallback = c.CFUNCTYPE(None, c.c_void_p, c.c_double)


class Error(Exception):
    """A failure. Its text is one line: what was expected, what was found, and where."""

    __module__ = "linnet"  # as users import it


class Sized(c.Structure):
    """A struct whose first field is its size."""

    def __init__(self, **fields):
        super().__init__(c.sizeof(type(self)), **fields)


def _struct(name, *fields):
    return type(name, (Sized,), {"_fields_": [("struct_size", c.c_size_t), *fields]})


class TokenBias(c.Structure):
    _fields_ = [("id", c.c_int32), ("bias", c.c_float)]


class TokenLogprob(c.Structure):
    _fields_ = [("id", c.c_int32), ("logprob", c.c_float)]


def _all(kind, names):
    return [(name, kind) for name in names.split()]


IdList = _struct("linnet_ids", ("ids", Ids), ("count", c.c_size_t))
Text = _struct("linnet_text", ("bytes", c.c_void_p), ("size", c.c_size_t))
Matrix = _struct("linnet_matrix", *_all(c.c_int64, "rows columns"), ("values", c.POINTER(c.c_float)))
Generation = _struct(
    "linnet_generation", ("prompt_ids", Ids), ("prompt_id_count", c.c_size_t), ("ids", Ids), ("id_count", c.c_size_t),
    ("text", c.c_void_p), ("text_size", c.c_size_t), *_all(c.c_int32, "finish_reason reserved"),
    *_all(c.c_int64, "prompt_tokens generated_tokens"), *_all(c.c_double, "prompt_seconds generate_seconds"))
Classification = _struct(
    "linnet_classification", ("label", c.c_size_t), ("scores", c.POINTER(c.c_float)),
    ("probabilities", c.POINTER(c.c_double)), ("label_count", c.c_size_t), *_all(c.c_int32, "truncated reserved"))
Device = _struct("linnet_device", *_all(c.c_char_p, "device name refusal"), *_all(c.c_int32, "kind is_default"))
MemoryUse = _struct("linnet_memory_use", *_all(c.c_uint64, "weights states arena io scratch total"))
LoadOptions = _struct("linnet_load_options", ("device", c.c_char_p), *_all(c.c_int32, "threads reserved"))
ModelInfo = _struct(
    "linnet_model_info", *_all(c.c_char_p, "path config_json device"),
    *_all(c.c_int64, "n_layer n_head n_embd vocab_size n_positions context max_batch"), ("eos_ids", Ids),
    ("eos_id_count", c.c_size_t), ("labels", Texts), ("label_count", c.c_size_t), ("targets", Texts),
    ("target_count", c.c_size_t), *_all(c.c_int32, "bos_id pad_id problem_type device_kind has_tokenizer reserved"))
EncodeOptions = _struct(
    "linnet_encode_options", *_all(c.c_int32, "special_as_text omit_special_tokens"), ("max_length", c.c_int64))
GenerateOptions = _struct(
    "linnet_generate_options", *_all(c.c_int64, "max_new_tokens top_k"), ("seed", c.c_uint64),
    *_all(c.c_int32, "do_sample ignore_eos"),
    *_all(c.c_float, "temperature top_p repetition_penalty frequency_penalty presence_penalty"),
    ("reserved", c.c_int32), ("logit_bias", c.POINTER(TokenBias)), ("logit_bias_count", c.c_size_t), ("stop", Texts),
    ("stop_count", c.c_size_t), ("eos_ids", Ids), ("eos_id_count", c.c_size_t), ("on_logits", LogitsCallback),
    ("on_logits_user", c.c_void_p))
Perplexity = _struct("linnet_perplexity", *_all(c.c_double, "perplexity nll"), ("tokens", c.c_int64))
BatchOptions = _struct("linnet_batch_options", *_all(c.c_int64, "rows prompt_chunk"))
BatchRequest = _struct(
    "linnet_batch_request", ("prompt", Ids), ("prompt_count", c.c_size_t), ("options", c.POINTER(GenerateOptions)),
    ("top_logprobs", c.c_int64), ("logprobs", c.c_int32), ("copy", c.c_uint32))
BatchEvent = _struct(
    "linnet_batch_event", ("number", c.c_int64), *_all(c.c_int32, "id finish_reason"), ("text", c.c_void_p),
    ("text_size", c.c_size_t), ("top", c.POINTER(TokenLogprob)), ("top_count", c.c_size_t), ("error", c.c_char_p),
    ("logprob", c.c_float), ("reserved", c.c_int32))
BatchCounts = _struct(
    "linnet_batch_counts",
    *_all(c.c_int64, "rows running steps prompt_tokens shared_tokens generated_tokens cached_tokens evicted_tokens"))
TokenBias.__name__, TokenLogprob.__name__ = "linnet_token_bias", "linnet_token_logprob"
STRUCTS = [TokenBias, TokenLogprob, *Sized.__subclasses__()]

_count = c.POINTER(c.c_size_t)
_out = c.POINTER(c.c_void_p)
_options = c.POINTER(GenerateOptions)
_lists = [c.POINTER(c.c_void_p), _count, c.c_size_t]
FUNCTIONS = {
    "devices": [_out], "result_count": [Handle, _count],
    **{f"result_{name}": [Handle, c.c_size_t, c.POINTER(item)] for name, item in (
        ("ids", IdList), ("text", Text), ("matrix", Matrix), ("generation", Generation),
        ("classification", Classification), ("device", Device))},
    "model_load": [c.c_char_p, c.POINTER(LoadOptions), _out], "model_get_info": [Handle, c.POINTER(ModelInfo)],
    "model_memory": [Handle, c.POINTER(MemoryUse)], "model_generation": [Handle, _options],
    "encode": [Handle, c.c_char_p, c.c_size_t, c.POINTER(EncodeOptions), _out],
    "decode": [Handle, Ids, c.c_size_t, c.c_int32, _out],
    "session_open": [Handle, _out], "session_fork": [Handle, _out],
    "session_generate": [Handle, Ids, c.c_size_t, _options, TokenCallback, c.c_void_p, _out],
    "session_generate_batch": [Handle, *_lists, _options, TokenCallback, c.c_void_p, _out],
    "session_logits": [Handle, Ids, c.c_size_t, c.c_int32, _out],
    "session_embed": [Handle, Ids, c.c_size_t, c.c_int32, c.c_int64, _out],
    "session_hidden_states": [Handle, Ids, c.c_size_t, c.c_int64, _out],
    "session_classify": [Handle, *_lists, ProgressCallback, c.c_void_p, _out],
    "session_perplexity": [Handle, Ids, c.c_size_t, c.c_int64, c.POINTER(Perplexity)],
    "session_cancel": [Handle], "session_reset": [Handle], "session_rewind": [Handle, c.c_int64],
    "session_position": [Handle, c.POINTER(c.c_int64)], "session_memory": [Handle, c.POINTER(MemoryUse)],
    "batch_open": [Handle, c.POINTER(BatchOptions), _out],
    "batch_add": [Handle, c.POINTER(BatchRequest), c.POINTER(c.c_int64)], "batch_remove": [Handle, c.c_int64],
    "batch_step": [Handle, _count], "batch_get_event": [Handle, c.c_size_t, c.POINTER(BatchEvent)],
    "batch_get_counts": [Handle, c.POINTER(BatchCounts)], "batch_memory": [Handle, c.POINTER(MemoryUse)],
}
FREES = ("model_free", "session_free", "batch_free", "result_free")


def candidates():
    """Paths of the runtime library, in the order in which they are tried."""
    if os.environ.get("LINNET_RUNTIME"):
        return [os.environ["LINNET_RUNTIME"]]
    here = Path(__file__).resolve().parent
    found = [here / "lib" / SONAME, here.parents[1] / "build" / "release" / "lib" / SONAME]
    return [*(str(path) for path in found if path.exists()), SONAME]


def load():
    """Loads the library and declares its functions."""
    failures = []
    for path in candidates():
        try:
            library = c.CDLL(path)
            break
        except OSError as error:
            failures.append(f"{path}: {error}")
    else:
        raise Error(f"expected the runtime library {SONAME}, found none: {'; '.join(failures)}; set LINNET_RUNTIME to "
                    "its path")
    library.linnet_c_abi.restype = c.c_uint32
    if library.linnet_c_abi() < NEEDED_ABI:
        raise Error(f"{path}: expected version {NEEDED_ABI} or later of the C interface, found "
                    f"{library.linnet_c_abi()}")
    library.linnet_error_message.restype = library.linnet_version.restype = c.c_char_p
    for name, arguments in FUNCTIONS.items():
        getattr(library, "linnet_" + name).argtypes = arguments
        getattr(library, "linnet_" + name).restype = c.c_int32
    for name in FREES:
        getattr(library, "linnet_" + name).argtypes = [Handle]
        getattr(library, "linnet_" + name).restype = None
    return library


LIBRARY = load()


def call(name, *arguments):
    """Calls linnet_NAME without the GIL. Raises Error if it fails."""
    if getattr(LIBRARY, "linnet_" + name)(*arguments) != OK:
        raise Error(LIBRARY.linnet_error_message().decode("utf-8", "replace"))


class Owned:
    """Owns a handle, which is freed with this object."""

    def __init__(self, kind, handle):
        self.handle = handle
        self._free = getattr(LIBRARY, f"linnet_{kind}_free")

    def __del__(self):
        handle, self.handle = getattr(self, "handle", None), None
        if handle:
            self._free(handle)


def owned(kind, name, *arguments):
    """The handle that linnet_NAME returns through its last argument."""
    out = c.c_void_p()
    call(name, *arguments, c.byref(out))
    return Owned(kind, out)


def result(name, *arguments):
    return owned("result", name, *arguments)


def count(of):
    number = c.c_size_t()
    call("result_count", of.handle, c.byref(number))
    return number.value


def item(of, name, struct, index=0):
    """Item `index` of a result. Its pointers are valid as long as the result is."""
    value = struct()
    call("result_" + name, of.handle, index, c.byref(value))
    return value


def text_of(pointer, size):
    return c.string_at(pointer, size).decode("utf-8", "replace") if size else ""
