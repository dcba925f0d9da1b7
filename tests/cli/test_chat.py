"""Conversations: linnet chat and run --chat, templates of checkpoints, and what the cache keeps between turns."""

import pty, re, shutil, signal, subprocess
from harness import *

STORIES = ROOT / "models" / "linnet-stories"
ROLES = (
    "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
# Earlier answers are left out, so that each turn changes what was said.
FORGETFUL = ROLES.replace("{{ m.role }}", "{% if m.role == 'assistant' %}{% continue %}{% endif %}{{ m.role }}")
FED = re.compile(r"(\d+) tokens: (\d+) from the cache, (\d+) fed")


def storyteller(name, template=None, config=None, file="chat_template.jinja"):
    """A copy of the bundled model with a chat template: a file, or a value of tokenizer_config.json."""
    model = copy_of(STORIES, name)
    if template is not None:
        (model / file).write_text(template)
    if config is not None:
        path = model / "tokenizer_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": config}))
    return model


@functools.cache
def talking():
    """An artifact whose template is ROLES."""
    artifact = FOLDER / "talking.linnet"
    make("compile", storyteller("talking", ROLES), "--target", "cpu", "-o", artifact)
    return artifact


@functools.cache
def silent():
    """An artifact without a template."""
    make("compile", STORIES, "--target", "cpu", "-o", FOLDER / "silent.linnet")
    return FOLDER / "silent.linnet"


class Conversation(TestCase):
    def chat(self, *lines, model=None, options=("-n", 8)):
        done = linnet("chat", model or talking(), "--stats", *options, stdin="\n".join(lines) + "\n")
        self.assertEqual(done.code, 0, done.err)
        return done

    def fed(self, done):
        """Of each turn: tokens of the conversation, those from the cache, those that were fed."""
        return [tuple(map(int, row)) for row in FED.findall(done.err)]

    def ids(self, text):
        return self.succeeds("tokenize", talking(), "--prompt", text, "--json").json["ids"]

    def continued(self, ids, count=8):
        """Ids and text of linnet run after these ids."""
        done = self.succeeds("run", talking(), "--ids", ",".join(map(str, ids)), "-n", count, "--json").json
        return done["ids"], done["text"]

    def test_answers_are_those_of_run_on_the_rendered_text(self):
        ids, first = self.continued(self.ids("user:A dog ran.\nassistant:"))
        ids, second = self.continued(ids + self.ids("\nuser:And a cat?\nassistant:"))
        done = self.chat("A dog ran.", "And a cat?")
        self.assertEqual(done.out, f"{first}\n{second}\n")

    def test_a_turn_feeds_only_what_is_new(self):
        (all1, cached1, fed1), (all2, cached2, fed2) = self.fed(self.chat("A dog ran.", "And a cat?"))
        self.assertEqual((cached1, fed1), (0, all1))
        self.assertEqual(cached2, all1 + 8)
        self.assertEqual(fed2, len(self.ids("\nuser:And a cat?\nassistant:")))
        self.assertEqual(all2, cached2 + fed2)

    def test_a_template_that_changes_what_was_said_is_fed_from_there(self):
        (FOLDER / "forgetful.jinja").write_text(FORGETFUL)
        done = self.chat("A dog ran.", "And a cat?", options=("-n", 8, "--chat-template", "forgetful.jinja"))
        first, second = done.out.splitlines()
        text = "user:A dog ran.\nuser:And a cat?\nassistant:"
        self.assertEqual(second, self.continued(self.ids(text))[1])
        self.assertEqual([cached for _, cached, _ in self.fed(done)], [0, 0])

    def test_the_last_turn_is_answered_again_or_replaced(self):
        done = self.chat("A dog ran.", "A bird sang.", "/retry", "/edit And a cat?")
        plain = self.chat("A dog ran.", "And a cat?").out.splitlines()
        rows, out = self.fed(done), done.out.splitlines()
        self.assertEqual((out[0], out[1], out[3]), (plain[0], out[2], plain[1]))
        self.assertEqual(rows[2][1:], (rows[1][0], 0))
        self.assertEqual(rows[3][1], rows[0][0] + 8)

    def test_sampled_retries_differ(self):
        done = self.chat("A dog ran.", "/retry", options=("-n", 20, "--do-sample", "--seed", "3"))
        self.assertIn("drawn with seed 3", done.err)
        self.assertNotEqual(*done.out.split("\n\n")[:2] if "\n\n" in done.out else done.out.splitlines()[:2])

    def test_reset_and_save(self):
        done = self.chat("A dog ran.", "/reset", "A dog ran.", "/save said.json")
        first, second = done.out.splitlines()
        self.assertEqual(first, second)
        self.assertEqual(self.fed(done)[0], self.fed(done)[1])
        self.assertEqual(
            json.loads((FOLDER / "said.json").read_text()),
            [{"role": "user", "content": "A dog ran."}, {"role": "assistant", "content": first}],
        )

    def test_the_system_prompt_is_the_first_message(self):
        _, text = self.continued(self.ids("system:Speak of cats.\nuser:Hello\nassistant:"))
        self.assertEqual(self.chat("Hello", options=("-n", 8, "--system", "Speak of cats.")).out, text + "\n")
        done = linnet("run", talking(), "--chat", "-n", 8, "--system", "Speak of cats.", stdin="Hello\n")
        self.assertEqual((done.code, done.out), (0, text + "\n"))

    def test_an_answer_may_be_as_long_as_the_context(self):
        done = linnet("chat", talking(), "--stats", stdin="A dog ran.\n")
        self.assertEqual(done.code, 0, done.err)
        self.assertRegex(done.err, r"ended by (eos|context)")

    def test_the_token_that_the_template_writes_after_an_answer_ends_it(self):
        # The configuration names another end token here.
        model = storyteller("ends", ROLES)
        config = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps({**config, "eos_token_id": config["vocab_size"] - 1}))
        artifact = model / "m.linnet"
        self.succeeds("compile", model, "--target", "cpu", "-o", artifact)
        (FOLDER / "plain.jinja").write_text(ROLES)
        (FOLDER / "ending.jinja").write_text(ROLES.replace("{{ m.content }}", "{{ m.content }}<|endoftext|>"))
        ended = re.compile(r"(\d+) generated in .*, ended by (\w+)")
        plain = self.chat("Bye", model=artifact, options=("--chat-template", "plain.jinja", "-n", 200))
        ending = self.chat("Bye", "Hello", model=artifact, options=("--chat-template", "ending.jinja", "-n", 200))
        self.assertNotIn("eos", [reason for _, reason in ended.findall(plain.err)])
        generated, reason = ended.findall(ending.err)[0]
        self.assertEqual(reason, "eos")
        self.assertNotIn("<|endoftext|>", ending.out)
        first, second = self.fed(ending)[:2]
        self.assertEqual(second[1], first[0] + int(generated))  # the end token stays in the cache

    def test_lines_that_are_no_turns(self):
        for line, says in (
            ("/nope", "no command '/nope'"),
            ("/retry", "/retry: expected a turn before it, found none"),
            ("/edit", "/edit: expected a text after it"),
            ("/save", "/save: expected a file after it"),
            ("/save no/such/folder", "no/such/folder"),
        ):
            self.fails("chat", talking(), stdin=line + "\n", says=says)
        done = self.chat("", "/help")
        self.assertIn("/edit TEXT", done.err)
        self.assertEqual(done.out, "")

    def test_a_conversation_that_outgrows_the_context(self):
        self.fails(
            "chat",
            talking(),
            stdin="a dog " * 600 + "\n",
            says="tokens with this turn, and the context 256: expected fewer",
        )


class Terminal(TestCase):
    def test_control_c_ends_an_answer_and_not_the_program(self):
        keyboard, terminal = pty.openpty()
        process = subprocess.Popen(
            [LINNET, "chat", talking(), "-n", "400", "--ignore-eos"],
            stdin=terminal,
            cwd=FOLDER,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        os.close(terminal)
        os.write(keyboard, b"Once\n")
        self.assertTrue(process.stdout.read(1))
        process.send_signal(signal.SIGINT)
        os.write(keyboard, b"/nope\n/save after.json\n\x04")
        _, err = process.communicate(timeout=LIMIT)
        os.close(keyboard)
        self.assertEqual(process.returncode, 0, err)
        self.assertIn(b"no command '/nope'", err)  # on a terminal an error does not end the program
        self.assertEqual([m["role"] for m in json.loads((FOLDER / "after.json").read_text())], ["user", "assistant"])


class Templates(TestCase):
    def answer(self, model, *options):
        done = linnet("chat", model, "-n", 8, *options, stdin="A dog ran.\n")
        self.assertEqual(done.code, 0, done.err)
        return done.out

    def template_of(self, artifact):
        return self.succeeds("inspect", artifact, "--json").json["config"].get("chat_template")

    def test_a_checkpoint_keeps_it_in_one_of_two_files(self):
        expected = self.answer(talking())
        self.assertEqual(self.answer(storyteller("text", config=ROLES)), expected)
        named = [{"name": "tools", "template": "x"}, {"name": "default", "template": ROLES}]
        self.assertEqual(self.answer(storyteller("named", config=named)), expected)
        self.assertEqual(self.answer(storyteller("both", ROLES, "{{ raise_exception('unused') }}")), expected)
        self.fails(
            "compile",
            storyteller("number", config=3),
            "-o",
            FOLDER / "number.linnet",
            says="tokenizer_config.json: chat_template: expected a text, or a list",
        )

    def test_gguf_and_exported_directories_keep_it(self):
        folder = fresh("kept")
        self.succeeds("export", storyteller("exported", ROLES), "-o", folder / "m.gguf", "--format", "gguf")
        self.succeeds("export", folder / "m.gguf", "-o", folder / "directory", "--format", "safetensors")
        self.assertEqual((folder / "directory" / "chat_template.jinja").read_text(), ROLES)
        self.succeeds("compile", folder / "m.gguf", "--target", "cpu", "-o", folder / "m.linnet")
        self.assertEqual(self.template_of(folder / "m.linnet"), ROLES)
        shown = self.succeeds("inspect", folder / "m.linnet").out
        self.assertIn(f"chat template: {len(ROLES)} bytes\n", shown)
        self.assertNotIn("messages", shown)

    def test_a_finetuned_model_keeps_it(self):
        folder = fresh("tuned")
        (folder / "text.txt").write_text("A dog ran. " * 400)
        self.succeeds(
            "finetune",
            storyteller("base", ROLES),
            "--data",
            folder / "text.txt",
            "--task",
            "lm",
            "--method",
            "full",
            "-o",
            folder / "out",
            "--steps",
            1,
            "--seq",
            16,
            "--batch",
            1,
        )
        found = list((folder / "out").rglob("chat_template.jinja"))
        self.assertTrue(found)
        self.assertEqual({path.read_text() for path in found}, {ROLES})

    def test_a_changed_template_is_another_model_in_the_cache(self):
        model = storyteller("changed", ROLES)
        first = self.answer(model)
        (model / "chat_template.jinja").write_text(ROLES.replace("assistant:", "The end. assistant:"))
        self.assertNotEqual(self.answer(model), first)

    def test_a_model_without_one_needs_the_option(self):
        self.fails(
            "chat",
            silent(),
            stdin="hi\n",
            says="the model has no chat template: name one with --chat-template (alpaca, chatml",
        )
        (FOLDER / "roles.jinja").write_text("\ufeff" + ROLES)
        self.assertEqual(self.answer(silent(), "--chat-template", "roles.jinja"), self.answer(talking()))
        for name in ("alpaca", "chatml", "gemma", "llama2", "llama3", "mistral", "phi3", "zephyr"):
            self.assertTrue(self.answer(silent(), "--chat-template", name, "--system", "Be brief."))
        self.fails(
            "chat",
            silent(),
            "--chat-template",
            "chatlm",
            stdin="hi\n",
            says="--chat-template: expected a file or one of alpaca, chatml, gemma, llama2, llama3, mistral, phi3, "
            "zephyr, found 'chatlm'",
        )

    def test_one_that_is_not_supported_is_reported_when_it_is_compiled(self):
        model, fault = (
            storyteller("broken", "{{ x }}\n{% include 'y' %}"),
            "chat template: line 2, column 4: statement 'include' is not supported here",
        )
        done = self.succeeds("compile", model, "--target", "cpu", "-o", FOLDER / "broken.linnet")
        self.assertIn(fault + "; 'linnet chat' needs --chat-template", done.err)
        self.fails("chat", FOLDER / "broken.linnet", stdin="hi\n", says=fault + "; --chat-template names another one")

    def test_a_conversation_that_the_template_rejects(self):
        strict = ROLES + "{% if messages[0].role == 'system' %}{{ raise_exception('no system prompt') }}{% endif %}"
        (FOLDER / "strict.jinja").write_text(strict)
        self.fails(
            "chat",
            talking(),
            "--chat-template",
            "strict.jinja",
            "--system",
            "s",
            stdin="hi\n",
            says="the template rejects the conversation: no system prompt",
        )

    def test_options_that_do_not_go_together(self):
        for option in (("--prompt", "a"), ("--json",)):
            self.fails("run", talking(), "--chat", *option, code=2, says="--chat reads turns from standard input")
        self.fails(
            "run",
            talking(),
            "--prompt",
            "a",
            "--system",
            "b",
            code=2,
            says="--system and --chat-template require --chat",
        )


class Page(TestCase):
    def test_the_page_shows_what_linnet_chat_says(self):
        page = (ROOT / "docs" / "chat.md").read_text()
        folder = fresh("page")
        shutil.copytree(STORIES, folder / "models" / "linnet-stories")
        blocks = re.findall(r"(?m)^    \$ (linnet chat .*)\n((?:    .*\n|\n(?=    ))+)", page)
        self.assertTrue(blocks)
        for command, quoted in blocks:
            with self.subTest(command=command):
                script = re.sub(r"^linnet", lambda _: LINNET, command) + " 2>&1"
                done = subprocess.run(
                    ["bash", "-c", script], cwd=folder, env=environment(), capture_output=True, timeout=LIMIT
                )
                shape = lambda line: re.sub(r"[\d.]+ [mu]?s\b", "TIME", line.strip())
                found = [
                    shape(line) for line in done.stdout.decode().splitlines() if line and " compiled " not in line
                ]
                self.assertEqual(found, [shape(line) for line in quoted.splitlines() if line])


if __name__ == "__main__":
    main()
