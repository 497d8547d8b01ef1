"""Writes directories.json: small made-up directories of tokenizers, and the ids that AutoTokenizer gives there.

    python directories.py 60 1 > directories.json    # how many, seed; transformers 5.24.0, tokenizers 0.23.3

What a published directory can say in several files is drawn: the vocabulary as vocab.txt, vocab.json or tokenizer.json, added tokens in four
places, their flags, classes, normalizers, splitters, the side of truncation. Where AutoTokenizer fails there is no case.
"""
import json, logging, os, random, shutil, sys, tempfile
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
from transformers import AutoTokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "the", "a", "is", "very", "##s", "##ly", "un", "##1", "[", "]", "e", "1",
         "world", "w", "##orld", "Good", "Film", "é", "cafe", "café", "##n", "n", "<", ">", "##e", "##a", "b", "##b", "中", "[unused1]", "<e2>", "mix"]
ADDED = ["graft", "covid", "COVID", "[E1]", "<e2>", "[unused1]", "Café", "good", "né", "a b", "the", "[MASK]", "###", "un-", "mix", "<mask>"]
PARTS = ["the Film is Good", "a graft film", "grafts", "ungraft", "very COVID", "covid,Covid", "[E1]", "x[E1]y", "[E1] [E1]", "[e1]", "<e2>", " <e2>  bad", "[unused1]",
         "Café café cafe CAFÉ", "né NÉ", "a b", "A B", "unly bads", "the", "the_", "the1", "(the)", "[MASK]", "[mask]", "[PAD] x", "###", "un-good", "İ mix", "中文 film",
         "\u2028 a\u00a0b", "ﬁlm", "e\u0301", "wórld", "1 11", "\ttab\n", "<mask> <mask>", "good's"]


def byte_texts():
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    out, n = {b: chr(b) for b in printable}, 0
    for b in range(256):
        if b not in out:
            out[b] = chr(256 + n)
            n += 1
    return [out[b] for b in range(256)]


def spec(r, content, special=None):
    special = r.random() < .4 if special is None else special
    return {"content": content, "single_word": r.random() < .3, "lstrip": r.random() < .2, "rstrip": r.random() < .2,
            "normalized": r.random() < .5, "special": special}


def flag(r, d, key, values=(True, False), p=.4):
    if r.random() < p:
        d[key] = r.choice(values)


def normalizer(r):
    bert = {"type": "BertNormalizer", "clean_text": r.random() < .8, "handle_chinese_chars": r.random() < .8,
            "strip_accents": r.choice([None, True, False]), "lowercase": r.random() < .6}
    steps = [{"type": t} for t in ("NFD", "NFC", "NFKD", "NFKC", "Lowercase", "StripAccents")] + [{"type": "Strip", "strip_left": True, "strip_right": True}, bert]
    return r.choice([bert, bert, None, r.choice(steps), {"type": "Sequence", "normalizers": r.sample(steps, r.randint(1, 4))},
                     {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"}]}])


def splitter(r):
    some = [{"type": "BertPreTokenizer"}, {"type": "Whitespace"}, {"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Isolated"},
            {"type": "Digits", "individual_digits": r.random() < .5}]
    return r.choice([some[0], some[0], r.choice(some), {"type": "Sequence", "pretokenizers": r.sample(some, r.randint(1, 3))}])


def directory(r):
    files, config = {}, {}
    kind = r.choice(["text", "text", "json", "json", "json", "bytes", "bpe"])
    bert = kind in ("text", "json")
    if bert:
        lines = WORDS[:] if r.random() < .5 else r.sample(WORDS, len(WORDS))
        lines = [w for w in lines if w in WORDS[:5] or r.random() < .9]
        if kind == "text" and r.random() < .5:
            for x in r.sample(["", "\u2028", "good", "the", "film ", " lead", "\u00a0", "[MASK]"], r.randint(1, 3)):
                lines.insert(r.randint(0, len(lines)), x)
        end = r.choice(["\n", "", "\n\n"])
        vocab = {w.rstrip(): i for i, w in enumerate(lines + [""] * (kind == "text" and end == "\n\n"))}
        pick = {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "unk": "[UNK]", "mask": "[MASK]"}
    else:
        vocab = {t: i for i, t in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])}
        for t in byte_texts() + ["th", "the", "\u0120the", "\u0120g", "oo", "film", "fi", "lm"]:
            vocab[t] = len(vocab)
        merges = [("t", "h"), ("th", "e"), ("\u0120", "the"), ("\u0120", "g"), ("o", "o"), ("f", "i"), ("l", "m"), ("fi", "lm")]
        pick = {"cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    flag(r, config, "do_lower_case")
    flag(r, config, "strip_accents", (True, False, None), .2)
    flag(r, config, "tokenize_chinese_chars", p=.2)
    flag(r, config, "add_prefix_space", p=.3)
    flag(r, config, "truncation_side", ("left", "right"))
    flag(r, config, "split_special_tokens", p=.1)
    own = "BertTokenizer" if bert else "RobertaTokenizer"
    whole = kind in ("json", "bpe")
    classes = [own, own + "Fast"] + (["PreTrainedTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend"] if whole else [])
    if bert:
        classes += ["ElectraTokenizer", "DistilBertTokenizerFast"]
    if r.random() < .85:
        config["tokenizer_class"] = r.choice(classes)
    next = len(vocab)
    new = [t for t in r.sample(ADDED, r.randint(0, 4)) if t not in vocab]
    old = [t for t in r.sample(list(vocab), 2)] if bert else []
    ids = {t: next + i for i, t in enumerate(new)}
    ids.update({t: vocab[t] for t in old if t})
    where = r.choice(["decoder", "legacy", "json" if whole else "legacy", "none"])
    if where == "decoder":
        config["added_tokens_decoder"] = {str(i): spec(r, t) for t, i in ids.items()}
    if where == "legacy":
        files["added_tokens.json"] = json.dumps(ids)
    if r.random() < .4:
        m = {}
        for k, v in pick.items():
            if r.random() < .4:
                m[k + "_token"] = v if r.random() < .5 else {k: v for k, v in spec(r, v, True).items() if k != "special"}
        if r.random() < .7:
            m["additional_special_tokens"] = r.sample(ADDED, r.randint(1, 3))
        files["special_tokens_map.json"] = json.dumps(m)
    if r.random() < .25:
        config[r.choice(["additional_special_tokens", "extra_special_tokens"])] = r.sample(ADDED, r.randint(1, 2))
    if r.random() < .2:
        config["mask_token"] = pick["mask"]
        config["pad_token"] = dict(spec(r, pick["pad"], True), __type="AddedToken")
    if r.random() < .1:
        config["e1_token"] = "[E1]"
    if kind == "text":
        files["vocab.txt"] = "\n".join(lines) + end
    if kind == "bytes":
        files["vocab.json"] = json.dumps(vocab)
        files["merges.txt"] = "#version: 0.2\n" + "\n".join(" ".join(m) for m in merges) + "\n"
    if whole:
        listed = [{"id": vocab[t], "content": t, "single_word": False, "lstrip": t == "<mask>", "rstrip": False, "normalized": False, "special": True}
                  for t in pick.values() if t in vocab]
        if where == "json":
            listed += [dict(spec(r, t), id=i) for t, i in ids.items() if t not in pick.values()]
        listed.sort(key=lambda t: t["id"])
        special = {t: {"id": t, "ids": [vocab[t]], "tokens": [t]} for t in (pick["cls"], pick["sep"])}
        s = lambda t, n=0: {"SpecialToken": {"id": t, "type_id": n}}
        a, b = {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}
        post = {"type": "TemplateProcessing", "single": [s(pick["cls"]), a, s(pick["sep"])],
                "pair": [s(pick["cls"]), a, s(pick["sep"]), b, s(pick["sep"], 1)], "special_tokens": special}
        if bert:
            model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab}
            pre, norm = splitter(r), normalizer(r)
        else:
            model = {"type": "BPE", "dropout": None, "unk_token": r.choice([None, "<unk>"]), "continuing_subword_prefix": "", "end_of_word_suffix": "",
                     "fuse_unk": False, "byte_fallback": False, "ignore_merges": r.random() < .2, "vocab": vocab, "merges": [list(m) for m in merges]}
            pre = {"type": "ByteLevel", "add_prefix_space": r.random() < .3, "trim_offsets": True, "use_regex": True}
            norm = r.choice([None, None, {"type": "NFC"}, {"type": "Lowercase"}])
        cut = None if r.random() < .7 else {"direction": r.choice(["Left", "Right"]), "max_length": 8, "strategy": "LongestFirst", "stride": 0}
        files["tokenizer.json"] = json.dumps({"version": "1.0", "truncation": cut, "padding": None, "added_tokens": listed, "normalizer": norm,
                                              "pre_tokenizer": pre, "post_processor": post, "decoder": None, "model": model}, ensure_ascii=False)
    files["config.json"] = json.dumps({"model_type": "bert" if bert else "roberta"})
    if config or r.random() < .7:
        files["tokenizer_config.json"] = json.dumps(config, ensure_ascii=False)
    return kind, files


def main(n, seed):
    r, out = random.Random(seed), []
    while len(out) < n:
        kind, files = directory(r)
        dir = tempfile.mkdtemp()
        for name, text in files.items():
            with open(os.path.join(dir, name), "w", encoding="utf-8", newline="") as f:
                f.write(text)
        try:
            tok = AutoTokenizer.from_pretrained(dir)
            ids, norm = list(tok.get_vocab().values()), tok.backend_tokenizer.normalizer
            alike = [norm.normalize_str(t.content) if norm else t.content for t in tok.added_tokens_decoder.values() if t.normalized]
            if len(set(ids)) < len(ids) or len(set(alike)) < len(alike):
                continue  # what AutoTokenizer makes of two tokens of one id or one text is chance; Splice refuses them
            cases = []
            for i in range(6):
                some = PARTS if kind != "bytes" else [p for p in PARTS if "<mask>" not in p]  # there it takes the blank before it, as in version 4
                a = " ".join(r.sample(some, r.randint(1, 6)))
                b = r.choice([None, None, " ".join(r.sample(some, r.randint(1, 4)))])
                max = r.choice([0, 0, 7, 9])
                e = tok(a, b, truncation="longest_first" if max else False, max_length=max or None, return_token_type_ids=True)
                case = {"a": a, "max": max, "ids": e["input_ids"]}
                if b is not None:
                    case |= {"b": b, "segments": e["token_type_ids"]}
                cases.append(case)
            out.append({"name": "%d %s" % (len(out), kind), "files": files, "texts": cases})
        except BaseException as e:
            if isinstance(e, KeyboardInterrupt):
                raise
            print(type(e).__name__, str(e)[:150], file=sys.stderr)
        shutil.rmtree(dir)
    print("[\n" + ",\n".join(json.dumps(x, ensure_ascii=True) for x in out) + "\n]")


main(int(sys.argv[1]), int(sys.argv[2]))
