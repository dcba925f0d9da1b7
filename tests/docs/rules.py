"""How the test runs each command that a page quotes, shorter than the page has it. A command takes the first rule whose
pattern matches "PAGE:COMMAND". test_quoted.py fails for a command without a rule and for a rule without a command."""
from dataclasses import dataclass, field


@dataclass
class Run:
    """In a shell, in the page's folder. `change` are pairs (pattern, replacement) after those of SHORTER."""
    change: list = field(default_factory=list)
    shape: bool = False  # compare the output's words, not its numbers
    lines: str = ""  # a pattern: these lines of the quoted output are compared
    expect: list = field(default_factory=list)  # patterns that the output has
    fakes: bool = False  # FAKES stand for the programs that would install, build or test
    calls: list = field(default_factory=list)  # patterns of how the fakes were called
    vulkan: bool = False  # without a device the command fails and says so


@dataclass
class Elsewhere:
    """Another test runs it as written."""
    file: str
    test: str


@dataclass
class Tests:
    """ctest lists the tests: they cannot run inside of a test."""


@dataclass
class Targets:
    """ninja knows the targets: it cannot run in a folder whose tests run."""


@dataclass
class Named:
    """A name, not a whole command: the program, its command and its options are there."""


FAKES = ("apt-get", "apt", "sudo", "cpack", "docker", "cmake", "ninja", "ctest", "clang-format-14", "clang-format")
BUILD = r"ninja -C build/release"
TRY_SOME = "LINNET_VULKAN_TRIALS=0.1 LINNET_VULKAN_FAULT=wrong:matmul_direct1 "
CTEST = "ctest --test-dir build/release --output-on-failure -j2$"
FORMAT = "clang-format-14 --dry-run"

# Sizes that take a tenth of a second, for every command that is run.
SHORTER = [
    (r"--preset (gpt2|stories)\b", "--preset tiny"),
    (r"--vocab-size 2048", "--vocab-size 300"),
    (r"(linnet (?:bench|profile) .*)-p (?:128|512)", r"\1-p 16"),
    (r"(linnet bench .*)-n (?:32|128|200)", r"\1-n 4"),
    (r"-d 1000", "-d 20"),
    (r"(linnet bench .*)-r \d+", r"\1-r 1"),
    (r"^(linnet bench (?!.*-r ).*)", r"\1 -r 1"),
    (r"^(linnet profile (?!.*json).*)", r"\1 -p 8 -n 2 -r 1"),
    (r"(-p 16.*) -p 8", r"\1"),
    (r"^(linnet compile (?!.*--target).*)", r"\1 --target cpu:native"),
    (r"^(linnet compile .*--target )cpu,", r"\1cpu:native,"),
    (r"--epochs \d+", ""),
    (r"^(linnet (?:train|finetune) .*)--seq \d+ --batch \d+", r"\1"),
    (r"--steps \d+", ""),
    (r"^(linnet (?:train|finetune) .*)", r"\1 --steps 2 --seq 16 --batch 2"),
    (r"bench/compare", "bench/compare --quick --rounds 1 --probe-seconds 0.01"),
    (r"(--quick.*)--rounds [2-9]", r"\1"),
    (r"^(bench/training-step.*)", r"\1 --preset tiny --rounds 1 --steps 1 --seq 16 --batch 1 --no-install"),
    (r"^(bench/real-models.*)", r"\1 --file tiny.gguf --text text.txt --no-install --rounds 1 --drift 1000 --threads 1"),
    (r"--preset tinyllama-1.1b", "--preset tiny"),
    (r"^(bench/type-errors.*)", r"\1 --positions 16 --generate 4"),
    (r"(-n|--seed) N\b", r"\1 4"),
]

RULES = [
    (r"docs/writing-a-pass.md:(cmake|export|linnet)",
     Elsewhere("tests/cli/test_writing_a_pass.py", "test_every_block_runs_and_says_what_is_quoted")),
    (r"README.md:(scripts/fetch-smollm2|linnet (compile smollm2|chat))",
     Elsewhere("tests/clients/real_model.py", "test_the_conversation_is_as_readme_shows")),
    (r"docs/server.md:(linnet|curl)", Elsewhere("tests/cli/test_serve_docs.py", "test_the_page_runs_as_written")),
    (r"docs/chat.md:linnet chat", Elsewhere("tests/cli/test_chat.py", "test_the_page_shows_what_linnet_chat_says")),
    (r"docs/chat.md:linnet run MODEL --chat", Run([("$", " --chat-template chatml")])),  # MODEL brings none
    (r"docs/adding-a-family.md:linnet",
     Elsewhere("tests/cli/test_families.py", "test_every_block_runs_and_says_what_is_quoted")),
    (r"README.md:linnet (finetune|compile spam|classify)",
     Elsewhere("tests/cli/test_classify.py", "test_the_example_answers_as_readme_shows")),

    # Building and testing.
    (r"scripts/demo$", Run(fakes=True, calls=[BUILD + " linnet linnet_compiler"], expect=[r"linnet: generation: "])),
    (r"LINNET_SANITIZERS=0 scripts/test", Run(fakes=True, calls=[FORMAT, BUILD, "test-install build/release", CTEST])),
    (r"LINNET_SANITIZERS=all scripts/test",
     Run(fakes=True, calls=["ninja -C build/asan sanitized sanitized_mlir",
                            r"ctest --test-dir build/asan .*-L \^\(sanitized\|sanitized_mlir\)\$$"])),
    (r"scripts/test$", Run(fakes=True, calls=[FORMAT, BUILD, "test-install build/release", CTEST,
                                              "ninja -C build/asan sanitized$",
                                              r"ctest --test-dir build/asan .*-L \^\(sanitized\)\$$"])),
    (r"scripts/install-packages --test$", Run(fakes=True)),
    (r"(CCACHE_DISABLE=1 )?scripts/build release", Run(fakes=True, calls=[BUILD + " ?$"])),
    (r"installing.md:cpack", Run(fakes=True, calls=["cpack --config build/release/CPackConfig.cmake"])),
    (r"installing.md:apt install", Run(fakes=True, calls=["apt install"])),  # scripts/check-packages installs it
    (r"installing.md:docker", Run(fakes=True, calls=["docker (build|run)"])),  # scripts/check-dockerfile
    (r"scripts/check-format --fix", Run(fakes=True, calls=["clang-format-14 -i"])),
    (r"scripts/build-times build/release", Run(fakes=True, expect=["By folder", "Slowest"])),
    (r"README.md:cmake --preset release && cmake --build",
     Run(fakes=True, calls=["cmake --preset release", "cmake --build --preset release"])),
    (r"benchmarking.md:cmake --build --preset release && bench",
     Run(fakes=True, calls=["cmake --build --preset release"], vulkan=True)),
    (r"cmake --build --preset release$", Run(fakes=True, calls=["cmake --build --preset release"])),
    (r"cmake --install build/release --prefix ~/linnet",
     Run(fakes=True, calls=["cmake --install build/release --prefix /"])),
    (r"installing.md:(export PKG_CONFIG_PATH|cc examples)",
     Elsewhere("tests/packages/test_packages.py", "test_the_program_of_the_page")),
    (r"c-api.md:cmake -S examples/c", Run(fakes=True, calls=["cmake -S examples/c"])),  # scripts/test-install builds it
    (r"(python|README).md:pip install ./python",
     Elsewhere("tests/python/test_package.py", "test_pip_installs_it_without_a_network")),
    (r":ctest ", Tests()),
    (r":ninja ", Targets()),
    (r"scripts/train-bundled DATA_DIR",
     Run([(r"$", " 0.2")], expect=["models/linnet-stories: [0-9]+ bytes of weights"])),

    # Benchmarks: Linnet alone where the peers would be installed first.
    (r"compare --target vulkan", Run(vulkan=True)),
    (r"bench/compare --json > today.json", Run()),
    (r":bench/compare", Run(expect=[r"\| (decode|batch|prefill|memory|first|start)"])),
    (r"bench/real-models --parts accuracy", Run(expect=["not installed"])),
    (r"bench/real-models", Run(expect=[r"\| tiny decode"])),
    (r"bench/training-step( --dtype bf16 --peers \"\")?$", Run(expect=[r"linnet +\d+\.\d{3} s a step"])),
    (r"bench/training-step --stolen", Run(expect=["one core stolen"])),
    (r"bench/type-errors ", Run(expect=[r"\| int4 \|"])),
    (r"bench/serve ", Run([("--requests 32", "--requests 8")], lines=r"^\| server")),
    (r"bench/finetune-methods ", Run(expect=[r"accuracy \d"])),
    (r"bench/tokenizer TEXT",
     Run([(r"$", " build/release 1")], fakes=True, calls=[r"ninja -C \S+ bench_tokenizer"], expect=["MB/s"])),
    (r"bin/limits_vulkan --mib 472", Run([("472", "16 --seconds 0.01")], vulkan=True, expect=["GB/s"])),

    # linnet.
    (r"README.md:linnet compile m124 -o", Run(shape=True)),
    (r"README.md:linnet bench", Run(shape=True, lines=r"^\|")),  # under noise there is a line below the table
    (r"cli.md:linnet run model.linnet --device vulkan",
     Run([("model.linnet", "m.linnet"), ("$", " --prompt Hello -n 4")], vulkan=True)),
    # Trying every variant takes ten seconds; a tenth of a second tries some, and the fault makes it put one aside.
    (r"vulkan.md:linnet devices",
     Run([("^", TRY_SOME + "linnet run m.linnet --prompt Hello -n 1 --device vulkan && ")], vulkan=True, shape=True,
         lines="^vulkan:0 .*llvmpipe|kernel variants",
         expect=[r"^ +matmul_direct1\w+: wrong answer, off by [\d.]+ of the largest number, 0.0001 allowed$"])),
    (r"vulkan.md:LINNET_CACHE_DIR=/tmp/faulty",
     Run([("/tmp/faulty LINNET_VULKAN_FAULT=wrong:matmul_direct1 ", "faulty " + TRY_SOME), ("$", " -n 1")], vulkan=True)),
    (r"--device vulkan", Run(vulkan=True)),
    # On a busy machine there is a line for the time between the phases, too.
    (r"cli-compile.md:linnet compile model -o",
     Run([(" --target cpu:native", "")], shape=True, lines=r"^(?! +everything else)")),
    (r"cli.md:linnet run model --prompt", Run(shape=True)),
    (r"cli.md:linnet run model.linnet.*--stats", Run(shape=True)),
    (r"cli.md:linnet (logits|eval)", Run(shape=True)),
    (r"cli-train.md:linnet (train|finetune)", Run([("-o (model|classifier)", "-o trained")])),
    (r"cli-compile.md:linnet inspect", Run(shape=True)),
    (r"cli-train.md:linnet tokenizer train --vocab-size 2048", Run([("-o vocabulary", "-o other")])),
    (r"cli-compile.md:linnet bisect", Run(shape=True)),
    (r"profiling.md:linnet profile m124",
     Run([(r"( \| cut -c -116)(.*)-r 1", r"\2-r 2\1")], shape=True,
         lines=r"^(prefill|decode|m124)|^ +(time  of all.*a call|by place)| total$| host$")),
    (r"profiling.md:linnet ablate",
     Run([("$", " -p 8 -n 2 -r 2 --pass canonicalize --pass cse")], shape=True, lines=r"^m124",
         expect=[r"prefill +decode +peak memory +activations +commands +artifact +compile +logit error",
                 r"full pipeline +\S+ ", r"without canonicalize +\S+ ", r"without cse +\S+ "])),
    (r"reading-a-dump.md:less", Run([("less .*", "cat dump/cpu/kernels/*/*.s")], expect=["ret"])),
    (r":linnet [a-z-]+", Run()),
    (r":cd dump/cpu", Run()),
]
