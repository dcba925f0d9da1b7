"""Families of models from their files: settings that are refused, files that go out and come back, docs/models.md."""
import re
from harness import *

GOLDEN = ROOT / "tests" / "golden"
IDS = [3, 17, 101, 44, 9, 200, 61]


def succeeds(*args):
    done = linnet(*args)
    if done.code != 0:
        raise RuntimeError(f"linnet {' '.join(map(str, args))}: exit code {done.code}: {done.err}")
    return done


def logits(model):
    succeeds("logits", model, "--ids", ",".join(map(str, IDS)), "--all", "-o", FOLDER / "logits.npy")
    return read_npy(FOLDER / "logits.npy")[1]


class Files(TestCase):
    def assertSame(self, found, wanted):
        largest = max(map(abs, wanted))
        self.assertEqual(len(found), len(wanted))
        self.assertGreater(largest, 0)
        self.assertLess(max(abs(a - b) for a, b in zip(found, wanted)) / largest, 1e-5)

    def test_gguf_and_back(self):
        for name in ("llama", "qwen2", "qwen3"):
            with self.subTest(name):
                gguf, again = FOLDER / f"{name}.gguf", FOLDER / f"{name}-again"
                succeeds("export", GOLDEN / name, "--format", "gguf", "--dtype", "f32", "-o", gguf)
                wanted = logits(GOLDEN / name)
                self.assertSame(logits(gguf), wanted)
                succeeds("export", gguf, "--format", "safetensors", "--dtype", "f32", "-o", again)
                self.assertSame(logits(again), wanted)
                before, after = read_header(GOLDEN / name / "model.safetensors"), read_header(again / "model.safetensors")
                for tensor, info in before[0].items():
                    if tensor != "__metadata__":
                        places = [slice(*header[tensor]["data_offsets"]) for header in (before[0], after[0])]
                        self.assertEqual(before[1][places[0]], after[1][places[1]], tensor)

    def test_directories_of_all_families_come_back(self):
        for name in ("mistral-window", "qwen2-v4", "gemma3", "gpt-neox", "llama3-scaled-v4"):
            with self.subTest(name):
                again = FOLDER / f"{name}-again"
                succeeds("export", GOLDEN / name, "--format", "safetensors", "--dtype", "f32", "-o", again)
                self.assertSame(logits(again), logits(GOLDEN / name))
                before, after = (json.loads((folder / "config.json").read_text()) for folder in (GOLDEN / name, again))
                for key in ("query_pre_attn_scalar", "sliding_window", "layer_types", "use_parallel_residual"):
                    if key in before:
                        self.assertEqual(repr(after[key]), repr(before[key]), key)

    def test_what_gguf_cannot_hold_is_refused(self):
        for name, why in (("llama3-scaled", "rope_type llama3"), ("gemma3", "Gemma 3"), ("gpt-neox", "GPT-NeoX"),
                          ("mistral-window", "Mistral"), ("qwen2-v4", "window")):
            with self.subTest(name):
                done = linnet("export", GOLDEN / name, "--format", "gguf", "-o", FOLDER / "no.gguf")
                self.assertNotEqual(done.code, 0)
                self.assertIn(why, done.err)
                self.assertFalse((FOLDER / "no.gguf").exists())


class Settings(TestCase):
    def refused(self, name, *settings):
        flags = [word for setting in settings for word in ("--set", setting)]
        done = linnet("compile", GOLDEN / name, *flags, "-o", FOLDER / "no.linnet")
        self.assertNotEqual(done.code, 0, done.out)
        self.assertEqual(done.err.count("\n"), 1, done.err)
        self.assertFalse((FOLDER / "no.linnet").exists())
        return done.err

    def test_settings_that_change_the_numbers_are_refused_by_name(self):
        for name, setting, key in (
                ("llama", 'rope_parameters={"rope_type": "yarn", "factor": 2.0}', "rope_type"),
                ("llama", 'rope_scaling={"type": "dynamic", "factor": 2.0}', "rope_scaling"),
                ("llama", "rope_scaling=4", "rope_scaling"),
                ("llama", "sliding_window=8", "sliding_window"),
                ("llama", "num_key_value_heads=4", "num_key_value_heads"),
                ("llama", "head_dim=7", "head_dim"),
                ("llama", "hidden_act=\"gelu_5\"", "hidden_act"),
                ("llama", "residual_multiplier=0.5", "residual_multiplier"),
                ("llama", 'rope_parameters={"rope_type": "linear"}', "factor"),
                ("llama", 'rope_parameters={"rope_type": "default", "partial_rotary_factor": 0.5}', "rope_parameters"),
                ("llama", 'rope_scaling={"type": "linear", "factor": 4}', "rope_scaling"),
                ("llama", "rope_theta=500", "rope_theta"),
                ("mistral-window", "attention_bias=true", "attention_bias"),
                ("mistral-window", 'layer_types=["full_attention"]', "layer_types"),
                ("qwen2", 'layer_types=["full_attention"]', "layer_types"),
                ("qwen2", 'layer_types=["full_attention", "full_attention", "chunked"]', "layer_types"),
                ("qwen3", 'layer_types=["full_attention", "full_attention", "sliding_attention"]', "layer_types"),
                ("gemma3", "attn_logit_softcapping=50.0", "attn_logit_softcapping"),
                ("gemma3", "use_bidirectional_attention=true", "use_bidirectional_attention"),
                ("gemma3", "query_pre_attn_scalar=0", "query_pre_attn_scalar"),
                ("gpt-neox", "rotary_pct=2", "rotary_pct")):
            with self.subTest(f"{name} {setting}"):
                self.assertIn(key, self.refused(name, setting))

    def test_a_setting_changes_the_numbers(self):
        """Each setting reaches the graph: with another value the numbers differ."""
        for name, setting in (("llama", "rope_theta=500"), ("llama", "rms_norm_eps=0.01"),
                              ("mistral-window", "sliding_window=3"), ("gemma3", "query_pre_attn_scalar=80"),
                              ("gemma3", "final_logit_softcapping=5.0"),
                              ("gpt-neox", "use_parallel_residual=false"), ("gpt-neox", "rotary_pct=0.5")):
            with self.subTest(f"{name} {setting}"):
                settings = ["--set", setting]
                if setting.startswith(("rope_theta", "rotary_pct")):
                    settings += ["--set", "rope_parameters=null"]
                found = []
                for flags in ([], settings):
                    succeeds("compile", GOLDEN / name, *flags, "--target", "reference", "-o", FOLDER / "other.linnet")
                    found.append(logits(FOLDER / "other.linnet"))
                apart = max(abs(a - b) for a, b in zip(*found))
                self.assertGreater(apart / max(map(abs, found[0])), 1e-3)

    def test_a_long_context_is_not_the_default(self):
        name = FOLDER / "long.linnet"
        done = succeeds("compile", GOLDEN / "llama", "--set", "max_position_embeddings=131072", "--target", "reference", "-o", name)
        self.assertIn("the cache holds 4096 positions of the model's 131072: --max-context N changes it", done.err)
        done = succeeds("compile", GOLDEN / "llama", "--set", "max_position_embeddings=131072", "--max-context", 5000,
                        "--target", "reference", "-o", name)
        self.assertNotIn("the cache holds", done.err)


class Page(TestCase):
    def test_it_names_what_there_is(self):
        page = (ROOT / "docs" / "models.md").read_text()
        presets = re.search(r"Presets: (.*?)\n\n", succeeds("init", "--help").out, re.S)[1].replace("\n", " ").split(",")
        presets = [preset.strip() for preset in presets]
        self.assertIn("pythia-160m", presets)
        for preset in presets:
            if preset not in ("tiny", "stories"):
                self.assertIn(f"`{preset}`", page)
        for config in sorted(GOLDEN.glob("*/config.json")):
            name = json.loads(config.read_text())["architectures"][0].replace("SequenceClassification", "CausalLM")
            self.assertIn(f"`{name.replace('GPT2ForCausalLM', 'GPT2LMHeadModel')}`", page)


if __name__ == "__main__":
    main()
