"""linnet serve as its clients see it: OpenAI's API, its errors, and answers equal to those of linnet run."""
import array, base64, math
from serve_harness import *
from test_not_finite import compiled, overflowing_at

GREEDY = {"temperature": 0, "max_tokens": 24}


class Completions(ServeCase):
    def test_a_greedy_answer_is_that_of_run(self):
        expected = run("--prompt", PROMPT, "-n", 24)
        answer = shared().post("/v1/completions", model="stories", prompt=PROMPT, **GREEDY).json
        choice, = answer["choices"]
        self.assertEqual((choice["text"], choice["finish_reason"]), (expected["text"], "length"))
        prompt = len(expected["ids"]) - 24
        usage = answer["usage"]
        self.assertEqual([usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")],
                         [prompt, 24, prompt + 24])
        self.assertEqual((answer["object"], answer["model"]), ("text_completion", "stories"))
        self.assertRegex(answer["id"], r"^cmpl-[0-9a-f]{24}$")

    def test_a_seeded_answer_is_that_of_run(self):
        for options, fields in ((("--top-k", 0), {}),
                                (("--top-k", 5, "--temperature", 1.5), {"top_k": 5, "temperature": 1.5}),
                                (("--top-k", 0, "--top-p", 0.8), {"top_p": 0.8}),
                                (("--top-k", 0, "--repetition-penalty", 1.3), {"repetition_penalty": 1.3})):
            expected = run("--prompt", PROMPT, "-n", 24, "--do-sample", "--seed", 7, *options)
            answer = shared().post("/v1/completions", prompt=PROMPT, max_tokens=24, seed=7, **fields).json
            self.assertEqual(answer["choices"][0]["text"], expected["text"], fields)

    def test_the_default_is_to_sample_the_whole_distribution(self):
        answers = [shared().post("/v1/completions", prompt=PROMPT, max_tokens=24).json for _ in range(4)]
        texts = {answer["choices"][0]["text"] for answer in answers}
        self.assertGreater(len(texts), 1)
        answer = shared().post("/v1/completions", prompt=PROMPT, temperature=0).json
        self.assertEqual(answer["usage"]["completion_tokens"], 16)  # as OpenAI's default

    def test_the_pieces_of_a_stream_are_the_answer(self):
        for fields in (GREEDY, {"seed": 3, "max_tokens": 40}, {**GREEDY, "max_tokens": 100, "stop": ["said", "\n\n"]}):
            whole = shared().post("/v1/completions", prompt=PROMPT, **fields).json
            chunks = shared().stream("/v1/completions", prompt=PROMPT, **fields)
            self.assertEqual("".join(c["choices"][0]["text"] for c in chunks), whole["choices"][0]["text"])
            reasons = [c["choices"][0]["finish_reason"] for c in chunks]
            self.assertEqual(reasons, [None] * (len(chunks) - 1) + [whole["choices"][0]["finish_reason"]])
            self.assertEqual(len({c["id"] for c in chunks}), 1)
            self.assertNotIn("usage", chunks[0])

    def test_usage_at_the_end_of_a_stream(self):
        chunks = shared().stream("/v1/completions", prompt=PROMPT, stream_options={"include_usage": True}, **GREEDY)
        self.assertEqual({str(c["usage"]) for c in chunks[:-1]}, {"None"})
        self.assertEqual((chunks[-1]["choices"], chunks[-1]["usage"]["completion_tokens"]), ([], 24))

    def test_stop_texts(self):
        text = run("--prompt", PROMPT, "-n", 60)["text"]
        word = text.split()[5]
        for stop in (word, [word, "never this"]):
            answer = shared().post("/v1/completions", prompt=PROMPT, temperature=0, max_tokens=60, stop=stop).json
            self.assertEqual((answer["choices"][0]["text"], answer["choices"][0]["finish_reason"]),
                             (text[:text.index(word)], "stop"))

    def test_several_choices_and_prompts(self):
        ids = make("tokenize", stories(), "--prompt", PROMPT, "--json").json["ids"]
        answer = shared().post("/v1/completions", prompt=[PROMPT, "A dog", PROMPT], n=2, seed=5, max_tokens=12).json
        self.assertEqual([c["index"] for c in answer["choices"]], list(range(6)))
        texts = [c["text"] for c in answer["choices"]]
        self.assertEqual(len(set(texts)), 6)  # copies of a prompt with one seed are drawn apart
        self.assertEqual(texts[0], run("--prompt", PROMPT, "-n", 12, "--do-sample", "--seed", 5, "--top-k", 0)["text"])
        self.assertEqual(answer["usage"]["completion_tokens"], 72)
        for prompt in (ids, [ids], [PROMPT]):
            same = shared().post("/v1/completions", prompt=prompt, seed=5, max_tokens=12).json
            self.assertEqual([c["text"] for c in same["choices"]], texts[:1])

    def test_streams_of_several_choices(self):
        body = {"prompt": [PROMPT, "A dog"], "n": 2, "seed": 5, "max_tokens": 12}
        whole = shared().post("/v1/completions", **body).json
        texts = ["", "", "", ""]
        for chunk in shared().stream("/v1/completions", **body):
            choice, = chunk["choices"]
            texts[choice["index"]] += choice["text"]
        self.assertEqual(texts, [c["text"] for c in whole["choices"]])

    def test_token_ids(self):
        expected = run("--prompt", PROMPT, "-n", 8)["ids"][-8:]
        fields = {"prompt": PROMPT, "temperature": 0, "max_tokens": 8, "return_token_ids": True}
        self.assertEqual(shared().post("/v1/completions", **fields).json["choices"][0]["token_ids"], expected)
        chunks = shared().stream("/v1/completions", **fields)
        self.assertEqual([id for c in chunks for id in c["choices"][0]["token_ids"]], expected)

    def test_log_probabilities(self):
        fields = {"prompt": PROMPT, "temperature": 0, "max_tokens": 6}
        choice = shared().post("/v1/completions", logprobs=3, **fields).json["choices"][0]
        found = choice["logprobs"]
        self.assertEqual("".join(found["tokens"]), choice["text"])
        self.assertEqual(found["text_offset"], [len("".join(found["tokens"][:i])) for i in range(6)])
        table = make("logits", stories(), "--prompt", PROMPT, "--top", 3, "--json").json
        expected = [math.log(row["probability"]) for row in table["positions"][-1]["top"]]
        top = sorted(found["top_logprobs"][0].values(), reverse=True)
        for a, b in zip(top, expected, strict=True):
            self.assertAlmostEqual(a, b, places=3)
        self.assertAlmostEqual(found["token_logprobs"][0], expected[0], places=3)
        pieces = [c["choices"][0]["logprobs"] for c in shared().stream("/v1/completions", logprobs=3, **fields)]
        self.assertEqual([t for p in pieces if p for t in p["tokens"]], found["tokens"])
        plain = shared().post("/v1/completions", logprobs=0, **fields).json["choices"][0]["logprobs"]
        self.assertEqual(plain["top_logprobs"], [None] * 6)

    def test_biases_and_penalties(self):
        fields = {"prompt": PROMPT, "temperature": 0, "max_tokens": 24}
        plain = shared().post("/v1/completions", return_token_ids=True, **fields).json["choices"][0]
        banned = plain["token_ids"][0]
        other = shared().post("/v1/completions", return_token_ids=True, logit_bias={str(banned): -100}, **fields).json
        self.assertNotIn(banned, other["choices"][0]["token_ids"])
        forced = shared().post("/v1/completions", return_token_ids=True, logit_bias={"65": 100}, **fields).json
        self.assertEqual(set(forced["choices"][0]["token_ids"]), {65})
        fields["max_tokens"] = 100
        plain = shared().post("/v1/completions", **fields).json["choices"][0]
        for name in ("frequency_penalty", "presence_penalty"):
            text = shared().post("/v1/completions", **{name: 2}, **fields).json["choices"][0]["text"]
            self.assertNotEqual(text, plain["text"], name)

    def test_a_prompt_that_was_seen_is_not_computed_again(self):
        fields = {"prompt": [11, 7, 5, 3] * 10, "temperature": 0, "max_tokens": 4}
        before = shared().metric("linnet_prompt_tokens_cached_total")
        first, second = (shared().post("/v1/completions", **fields).json for _ in range(2))
        self.assertEqual(first["usage"]["prompt_tokens_details"]["cached_tokens"], 0)
        cached = second["usage"]["prompt_tokens_details"]["cached_tokens"]
        self.assertGreaterEqual(cached, 32)
        self.assertLess(cached, 40)
        self.assertEqual(second["choices"], first["choices"])
        self.assertEqual(shared().metric("linnet_prompt_tokens_cached_total"), before + cached)

    def test_the_context_ends_a_text(self):
        answer = shared().post("/v1/completions", prompt=PROMPT, temperature=0, max_tokens=10 ** 6,
                               ignore_eos=True).json
        self.assertEqual(answer["choices"][0]["finish_reason"], "length")
        context = shared().get("/v1/models").json["data"][0]["max_model_len"]
        self.assertEqual(answer["usage"]["total_tokens"], context + 1)
        self.refused(shared().post("/v1/completions", prompt=[5] * context), 400, [str(context), "context"], "prompt",
                     "context_length_exceeded")


class Chat(ServeCase):
    MESSAGES = [{"role": "user", "content": "A dog ran."}]
    TEXT = "user:A dog ran.\nassistant:"

    def test_the_answer_is_that_of_run_on_the_rendered_text(self):
        expected = run("--prompt", self.TEXT, "-n", 12)["text"]
        fields = {"messages": self.MESSAGES, "temperature": 0, "max_completion_tokens": 12}
        answer = shared().post("/v1/chat/completions", **fields).json
        message = {"role": "assistant", "content": expected, "refusal": None}
        self.assertEqual(answer["choices"], [{"index": 0, "message": message, "logprobs": None,
                                              "finish_reason": "length"}])
        self.assertEqual((answer["object"], answer["id"][:9]), ("chat.completion", "chatcmpl-"))
        chunks = shared().stream("/v1/chat/completions", **fields)
        self.assertEqual(chunks[0]["choices"][0]["delta"], {"role": "assistant", "content": ""})
        self.assertEqual("".join(c["choices"][0]["delta"].get("content", "") for c in chunks), expected)
        last = chunks[-1]["choices"][0]
        self.assertEqual((last["delta"], last["finish_reason"]), ({}, "length"))

    def test_forms_of_messages(self):
        parts = [{"type": "text", "text": "A dog"}, {"type": "text", "text": " ran."}]
        said = {"role": "assistant", "content": "It did.", "refusal": None, "tool_calls": None, "annotations": []}
        for messages, text in (
                ([{"role": "user", "content": parts}], self.TEXT),
                ([{"role": "developer", "content": "Be kind."}, *self.MESSAGES], "system:Be kind.\n" + self.TEXT),
                ([*self.MESSAGES, said, {"role": "user", "content": "Why?"}],
                 "user:A dog ran.\nassistant:It did.\nuser:Why?\nassistant:")):
            found = shared().post("/v1/chat/completions", messages=messages, temperature=0, max_tokens=8).json
            self.assertEqual(found["choices"][0]["message"]["content"], run("--prompt", text, "-n", 8)["text"])

    def test_an_answer_may_fill_the_context(self):
        answer = shared().post("/v1/chat/completions", messages=self.MESSAGES, temperature=0, ignore_eos=True).json
        context = shared().get("/v1/models").json["data"][0]["max_model_len"]
        self.assertEqual(answer["usage"]["total_tokens"], context + 1)

    def test_log_probabilities(self):
        fields = {"messages": self.MESSAGES, "temperature": 0, "max_tokens": 5, "logprobs": True, "top_logprobs": 2}
        choice = shared().post("/v1/chat/completions", **fields).json["choices"][0]
        content = choice["logprobs"]["content"]
        self.assertEqual(b"".join(bytes(t["bytes"]) for t in content).decode(), choice["message"]["content"])
        for token in content:
            self.assertEqual(len(token["top_logprobs"]), 2)
            self.assertEqual(token["logprob"], token["top_logprobs"][0]["logprob"])
            self.assertEqual(token["token"], token["top_logprobs"][0]["token"])

    def test_what_is_refused(self):
        post = functools.partial(shared().post, "/v1/chat/completions")
        for body, says, param in (
                ({}, "messages: expected a list of messages", "messages"),
                ({"messages": []}, "found an empty list", "messages"),
                ({"messages": [{"role": "tool", "content": "x"}]}, 'found "tool"', "messages[0].role"),
                ({"messages": [{"role": "user"}]}, "messages[0].content: expected a text", "messages[0].content"),
                ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, '"image_url"',
                 "messages[0].content[0].type"),
                ({"messages": [{"role": "user", "content": "x", "name": "me"}]}, "not supported", "messages[0].name"),
                ({"messages": [*self.MESSAGES, {"role": "system", "content": "x"}]}, "late system", "messages"),
                ({"messages": self.MESSAGES, "tools": [{}]}, "tools: not supported", "tools"),
                ({"messages": self.MESSAGES, "response_format": {"type": "json_object"}}, "not supported",
                 "response_format"),
                ({"messages": self.MESSAGES, "top_logprobs": 2}, "logprobs", "top_logprobs"),
                ({"messages": self.MESSAGES, "logprobs": 2}, "expected true or false, found 2", "logprobs"),
                ({"messages": self.MESSAGES, "max_tokens": 2, "max_completion_tokens": 3}, "max_completion_tokens",
                 "max_tokens"),
                ({"messages": self.MESSAGES, "prompt": "x"}, "prompt: unknown field", "prompt")):
            self.refused(post(**body), 400, says, param)
        for neutral in ({"tool_choice": "none"}, {"response_format": {"type": "text"}}, {"tools": None},
                        {"user": "me"}):
            self.assertEqual(post(messages=self.MESSAGES, max_tokens=1, **neutral).status, 200, neutral)

    def test_a_model_without_a_template(self):
        server = Server(tiny_artifact())
        self.addCleanup(server.stop)
        self.assertIn("no chat template", server.log())
        self.refused(server.post("/v1/chat/completions", messages=self.MESSAGES), 400, "--chat-template",
                     code="no_chat_template")
        self.assertEqual(server.post("/v1/completions", prompt="a", max_tokens=2).status, 200)

    def test_a_template_of_the_command_line(self):
        server = Server(tiny_artifact(), "--chat-template", "chatml", "--model-name", "me/tiny")
        self.addCleanup(server.stop)
        answer = server.post("/v1/chat/completions", model="me/tiny", messages=self.MESSAGES, max_tokens=2)
        self.assertEqual(answer.status, 200)
        self.assertEqual(server.get("/v1/models/me%2Ftiny").json["id"], "me/tiny")
        self.assertEqual(server.get("/v1/models/me/tiny").json["id"], "me/tiny")


class Errors(ServeCase):
    def test_fields(self):
        for body, says, param in (
                ({}, "prompt: expected a text, a list of texts", "prompt"),
                ({"prompt": 5}, "found 5", "prompt"),
                ({"prompt": []}, "found an empty list", "prompt"),
                ({"prompt": ["a", 5]}, "prompt[1]: expected a text, found 5", "prompt[1]"),
                ({"prompt": [1, "a"]}, 'prompt[1]: expected a token id from 0 to', "prompt[1]"),
                ({"prompt": [1, 10 ** 9]}, "found 1000000000", "prompt[1]"),
                ({"prompt": [[1], []]}, "prompt[1]: expected a list of token ids, found an empty list", "prompt[1]"),
                ({"prompt": "a", "temperature": "hot"}, 'expected a number from 0 to 2, found "hot"', "temperature"),
                ({"prompt": "a", "temperature": -1}, "found -1", "temperature"),
                ({"prompt": "a", "top_p": 1.5}, "found 1.5", "top_p"),
                ({"prompt": "a", "max_tokens": 0}, "max_tokens: expected a whole number from 1", "max_tokens"),
                ({"prompt": "a", "max_tokens": 1.5}, "found 1.5", "max_tokens"),
                ({"prompt": "a", "max_tokens": 2 ** 64}, "max_tokens", "max_tokens"),
                ({"prompt": "a", "seed": 2 ** 63}, "seed", "seed"),
                ({"prompt": "a", "n": 0}, "n: expected a whole number from 1 to 128, found 0", "n"),
                ({"prompt": "a", "n": 128}, "expected at most 68 texts in a request", "n"),
                ({"prompt": "a", "stream": "yes"}, "expected true or false", "stream"),
                ({"prompt": "a", "stop": [""]}, 'found ""', "stop"),
                ({"prompt": "a", "stop": 5}, "found 5", "stop"),
                ({"prompt": "a", "stop": ["a"] * 17}, "17 texts", "stop"),
                ({"prompt": "a", "logprobs": 21}, "found 21", "logprobs"),
                ({"prompt": "a", "logprobs": True}, "found true", "logprobs"),
                ({"prompt": "a", "logit_bias": {"x": 1}}, 'found "x"', "logit_bias"),
                ({"prompt": "a", "logit_bias": {"999999": 1}}, "999999", "logit_bias"),
                ({"prompt": "a", "logit_bias": {"5": 101}}, "found 101", "logit_bias.5"),
                ({"prompt": "a", "frequency_penalty": 3}, "from -2 to 2, found 3", "frequency_penalty"),
                ({"prompt": "a", "echo": True}, "echo: not supported", "echo"),
                ({"prompt": "a", "best_of": 2}, "best_of: not supported", "best_of"),
                ({"prompt": "a", "suffix": "b"}, "suffix: not supported", "suffix"),
                ({"prompt": "a", "stream_options": {"include_usage": True}}, '"stream": true', "stream_options"),
                ({"prompt": "a", "stream": True, "stream_options": {"x": 1}}, "unknown field", "stream_options.x"),
                ({"prompt": "a", "temprature": 1}, "unknown field; did you mean temperature?", "temprature"),
                ({"prompt": "a", "messages": []}, "messages: unknown field", "messages")):
            self.refused(shared().post("/v1/completions", **body), 400, says, param)
        answer = shared().post("/v1/completions", prompt="a", model="gpt-4")
        self.refused(answer, 404, ['"stories"', '"gpt-4"'], "model", "model_not_found")
        self.refused(shared().get("/v1/models/gpt-4"), 404, "gpt-4", code="model_not_found")

    def test_bodies(self):
        for body, says in ((b"", "empty"), (b"{", "malformed JSON"), (b"[]", "expected an object, found an empty list"),
                           (b'{"prompt": "\xff"}', "malformed JSON"), (b'{"a": 1, "a": 2}', "twice"),
                           (b"[" * 1000, "deeper"), (b'{"prompt": "a"} x', "malformed JSON")):
            self.refused(shared().request("POST", "/v1/completions", body), 400, says)
        answer = shared().request("POST", "/v1/completions", b'{"prompt": "a"}', {"Content-Type": "text/plain"})
        self.refused(answer, 415, "application/json")

    def test_paths_and_methods(self):
        self.refused(shared().get("/nowhere"), 404, "no such path: /nowhere", code="not_found")
        answer = shared().get("/v1/completions")
        self.refused(answer, 405, "expected POST")
        self.assertEqual(answer.headers["Allow"], "POST, OPTIONS")
        answer = shared().request("OPTIONS", "/health")
        self.assertEqual((answer.status, answer.headers["Allow"], answer.body), (204, "GET, HEAD, OPTIONS", b""))
        answer = shared().request("HEAD", "/v1/models")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(int(answer.headers["Content-Length"]), len(shared().get("/v1/models").body))

    def test_keys(self):
        keys = FOLDER / "keys"
        keys.write_text("# ours\nfirst-key\n\nsecond-key\r\n")
        server = Server(stories(), "--api-key-file", keys, "--metrics")
        self.addCleanup(server.stop)
        for header in (None, "first-key", "Basic first-key", "Bearer first-ke", "Bearer first-keyfirst-key",
                       "Bearer ", "Bearer # ours"):
            headers = {"Authorization": header} if header else {}
            for path in ("/v1/models", "/metrics", "/nowhere"):
                answer = server.get(path, headers)
                self.refused(answer, 401, "Bearer KEY", code="invalid_api_key")
                self.assertEqual(answer.headers["WWW-Authenticate"], "Bearer")
            self.assertEqual(server.post("/v1/completions", headers, prompt="a").status, 401)
        for key in ("first-key", "second-key"):
            self.assertEqual(server.get("/v1/models", {"Authorization": "Bearer " + key}).status, 200)
        self.assertEqual((server.get("/health").status, server.get("/").status), (200, 200))

    def test_numbers_that_are_not_finite(self):
        server = Server(compiled(overflowing_at(6)))
        self.addCleanup(server.stop)
        fields = {"prompt": [5, 6, 7], "temperature": 0, "ignore_eos": True}
        good = server.post("/v1/completions", max_tokens=2, **fields)
        self.assertEqual(good.status, 200)
        self.refused(server.post("/v1/completions", max_tokens=12, **fields), 500, "expected a finite number",
                     code="generation_failed")
        events = server.stream("/v1/completions", max_tokens=12, **fields)
        self.assertIn("expected a finite number", events[-1]["error"]["message"])
        self.assertEqual(server.post("/v1/completions", max_tokens=2, **fields).json["choices"], good.json["choices"])
        self.refused(server.post("/v1/embeddings", input=[5] * 8), 500, "expected a finite number")
        self.assertEqual(server.post("/v1/embeddings", input=[5, 6]).status, 200)

    def test_an_address_that_others_reach(self):
        for options, says in (((), "anyone who can reach this address may use the model"), (("--api-key-file", "k"), "")):
            (FOLDER / "k").write_text("key\n")
            server = Server(stories(), "--host", "0.0.0.0", *options)
            self.addCleanup(server.stop)
            self.assertEqual(server.get("/health").status, 200)
            self.assertIn(says, server.log())
            self.assertEqual(server.log() == "", not says)

    def test_key_files(self):
        for text, says in (("# none\n", "found none"), ("a b\n", "line 1: expected a key of printable")):
            (FOLDER / "bad-keys").write_text(text)
            self.fails("serve", stories(), "--port", "0", "--api-key-file", FOLDER / "bad-keys", says=says)

    def test_command_lines(self):
        self.fails("serve", stories(), "--port", "0", "--max-batch", "5", says=["at most 4", "found 5"])
        self.fails("serve", stories(), "--port", "70000", code=2, says="--port")
        self.fails("serve", stories(), "--host", "nowhere.invalid", says="nowhere.invalid")
        self.fails("serve", stories(), "--port", shared().port, says="Address already in use")
        self.fails("serve", FOLDER / "nothing", says="No such file")


class Work(ServeCase):
    """Embeddings, classification, and the tokenizer."""

    def test_embeddings_are_those_of_embed(self):
        texts = [PROMPT, "A dog"]
        expected = []
        for text in texts:
            values = make("embed", stories(), "--prompt", text, "--json").json["values"]
            length = math.sqrt(sum(v * v for v in values))
            expected.append([v / length for v in values])
        answer = shared().post("/v1/embeddings", input=texts, model="stories").json
        for row, values in zip(answer["data"], expected, strict=True):
            self.assertEqual(row["object"], "embedding")
            self.close_to(row["embedding"], values)
        packed = shared().post("/v1/embeddings", input=texts, encoding_format="base64").json
        for row, same in zip(packed["data"], answer["data"], strict=True):
            floats = array.array("f", base64.b64decode(row["embedding"]))
            self.close_to(list(floats), same["embedding"])
        self.refused(shared().post("/v1/embeddings", input="a", encoding_format="int8"), 400, "int8", "encoding_format")
        self.refused(shared().post("/v1/embeddings", input="a", dimensions=3), 400, "not supported", "dimensions")
        self.refused(shared().post("/v1/embeddings"), 400, "found nothing", "input")
        many = shared().post("/v1/embeddings", input=["a"] * 200).json
        self.assertEqual(len(many["data"]), 200)

    def test_classification(self):
        make("init", "--preset", "tiny", "--seed", "3", "--labels", "eggs,ham,spam", FOLDER / "classifier")
        make("compile", FOLDER / "classifier", "--max-batch", "2", "-o", FOLDER / "classifier.linnet")
        server = Server(FOLDER / "classifier.linnet")
        self.addCleanup(server.stop)
        texts = ["You won a prize, call now", "Come home", "Dinner"]
        answer = server.post("/v1/classify", input=texts).json
        self.assertEqual(answer["labels"], ["eggs", "ham", "spam"])
        for text, row in zip(texts, answer["data"], strict=True):
            expected = make("classify", FOLDER / "classifier.linnet", "--text", text, "--json").json["answers"][0]
            self.assertEqual(row["label"], expected["label"])
            self.close_to(row["probs"], list(expected["probabilities"].values()))
        self.refused(server.post("/v1/completions", prompt="a"), 400, "classifier", code="wrong_model")
        self.refused(shared().post("/v1/classify", input="a"), 400, "language model", code="wrong_model")
        self.assertEqual(server.post("/v1/embeddings", input="a").status, 200)

    def test_tokens(self):
        ids = make("tokenize", stories(), "--prompt", PROMPT, "--json").json["ids"]
        self.assertEqual(shared().post("/tokenize", prompt=PROMPT).json["tokens"], ids)
        self.assertEqual(shared().post("/detokenize", tokens=ids).json, {"prompt": PROMPT})
        self.refused(shared().post("/tokenize"), 400, "found nothing", "prompt")
        self.refused(shared().post("/detokenize", tokens=[-1]), 400, "tokens[0]: expected a token id, found -1")

    def test_a_model_without_a_tokenizer(self):
        server = Server(golden("tiny"))
        self.addCleanup(server.stop)
        expected = make("run", golden("tiny"), "--ids", "1,2,3", "-n", "6", "--json").json["ids"][3:]
        answer = server.post("/v1/completions", prompt=[1, 2, 3], temperature=0, max_tokens=6, return_token_ids=True,
                             logprobs=1).json["choices"][0]
        self.assertEqual((answer["token_ids"], answer["text"]), (expected, ""))
        self.assertEqual(answer["logprobs"]["tokens"], [f"token_id:{id}" for id in expected])
        self.refused(server.post("/v1/completions", prompt="a"), 400, "no tokenizer", "prompt")
        self.refused(server.post("/tokenize", prompt="a"), 400, "no tokenizer")

    def test_models_and_health(self):
        model, = shared().get("/v1/models").json["data"]
        self.assertEqual((model["id"], model["object"], model["chat"]), ("stories", "model", True))
        self.assertEqual(shared().get("/health").json, {"status": "ok"})


if __name__ == "__main__":
    main()
