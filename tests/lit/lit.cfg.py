# Tests of the textual IR: linnet-opt piped into FileCheck.
import os
import sys

import lit.formats

config.name = "linnet"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = config.linnet_exec_root
config.environment["PATH"] = os.pathsep.join(
    [config.linnet_bin_dir, config.llvm_bin_dir, os.environ.get("PATH", "")]
)
config.substitutions.append(("%golden", os.path.join(config.linnet_source_dir, "tests", "golden")))
config.substitutions.append(("%python", sys.executable))
config.substitutions.append(("%source", config.linnet_source_dir))
