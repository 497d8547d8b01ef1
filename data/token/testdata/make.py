"""Writes reference.json: ids that the packages tokenizers 0.23.3 and transformers 5.23.0 give.

    python make.py DATA > reference.json        DATA: folder with tokenizers/{all-minilm-l6-v2,bert-base-uncased,roberta-base}
    python make.py DATA classes > classes.json  classes of all code points, as hashes
    python make.py DATA corpus > corpus.json    ids of 5,000 texts of SST-2 and RTE, as hashes (with transformers 5.24.0)
"""
import hashlib, json, os, random, shutil, sys, tempfile, zlib
import tokenizers
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from transformers import BertTokenizerFast, RobertaTokenizerFast

data = sys.argv[1]


def classes():
    bert = lambda **k: normalizers.BertNormalizer(**{**dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False), **k}).normalize_str
    uncased = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True).normalize_str
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    level = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
    words = lambda s: {1: "word", 2: "space", 3: "punct"}[len(split("a" + s + "b"))]

    def byte_level(s):
        for before, name in (("a", "letter"), ("1", "number"), ("#", "other")):
            if len(level(before + s)) == 1:
                return name
        return "space"

    def count(splitter, *names):
        return lambda s: names[len(splitter.pre_tokenize_str("a" + s + "b")) - 1]

    of = dict(clean=bert(clean_text=True), chinese=bert(handle_chinese_chars=True), strip=bert(strip_accents=True),
              lower=bert(lowercase=True), uncased=uncased, words=words, byte_level=byte_level,
              strip_any=normalizers.StripAccents().normalize_str, trim=normalizers.Strip().normalize_str,
              nfc=normalizers.NFC().normalize_str, nfd=normalizers.NFD().normalize_str,
              order=lambda s: normalizers.NFD().normalize_str("\u0345" + s),
              nfkc=normalizers.NFKC().normalize_str, nfkd=normalizers.NFKD().normalize_str,
              whitespace=count(pre_tokenizers.Whitespace(), "word", "space", "other"),
              whitespace_split=count(pre_tokenizers.WhitespaceSplit(), "word", "space"),
              punctuation=count(pre_tokenizers.Punctuation(), "word", "", "punct"),
              digits=count(pre_tokenizers.Digits(), "word", "", "number"))
    out = {}
    for name, f in of.items():
        h = hashlib.sha256()
        for c in range(0x110000):
            if not 0xD800 <= c < 0xE000:
                h.update(f(chr(c)).encode() + b"\n")
        out[name] = h.hexdigest()
    return out


def texts():
    hard = [
        "", " ", "\t\n\r ", "hello", "Hello, World!", "it's John's; we've, they're I'll I'd I'm 'S 'T don't",
        "Ünïcödé façade naïve café Ångström ÀÉÎÕÜ", "e\u0301 A\u030a\u0323 o\u0308\u0304", "İstanbul ISPARTA ı ß ẞ Σίσυφος ΣΑΣ",
        "中文字符", "日本語のテキスト カタカナ ｶﾅ", "한국어 텍스트 각", "mixed中文with英文words", "𠀀𪜀𫝀𫠠𫤠丽",
        "😀 emoji 👍🏽 👨‍👩‍👧‍👦 🇩🇪 🥰🫠🪿", "a\u0000b\u0001c\u007fd\u0080e\u200bf\u200dg\ufeffh\u00adi", "\ufffd a\ufffdb",
        "tab\tnew\nline\r\nnbsp\u00a0em\u2003ideo\u3000ls\u2028ps\u2029nel\u0085vt\u000bff\u000c", "\u001c\u001d\u001e\u001f x\u001cy",
        "a" * 99, "a" * 100, "a" * 101, "b" * 1000, "ab" * 60, "é" * 100, "é" * 101, "中" * 120, "!" * 300, "!?" * 100,
        "x" + "\u0301" * 120, "supercalifragilisticexpialidocious antidisestablishmentarianism", "word " * 700,
        "http://www.example.com/path?q=1&r=2#frag user@example.org", "$1,234.56 €99 £5 ¥100 50% #1 @you ^_^ <tag> `code` ~x~ a|b a=b a+b",
        "“quotes” ‘single’ — dash – en … ellipsis ¿qué? ¡hola! «guillemets»", "3.14 1e-5 ½ ² ① Ⅷ ٣ ४ 一",
        "  leading", "trailing  ", "  both   inner  spaces  ", "line\n\nbreak", " \n x", "x \n", "a  b   c    d", "\u00a0\u00a0x\u00a0",
        "[CLS] a [SEP] b [MASK] [PAD] [UNK] [unused1] [cls] [ CLS ]", "[MASK][MASK]x[MASK]", "<s>a</s> b <mask> c<mask> <pad>  <mask>  d <unk>", "\u3000<mask>x",
        "עברית עִבְרִית العربية العَرَبِيَّة فارسی", "हिन्दी देवनागरी தமிழ் ไทย ภาษา ລາວ ខ្មែរ", "Ελληνικά Русский Ёлка Їжак Қазақ", "ﬁ ﬂ ﬀ Ǆ ǅ ŀ № ℡ ™ ㍿ ㋿",
        "Ａｂｃ１２３！？", "𝐁𝐨𝐥𝐝 𝔉𝔯𝔞𝔨 𝕊𝕥", "\U0001e922\U0001e944 \U00010400\U00010428 \U0001f130", "\u0345\u0301 \u1734 \u07fd\u0898 \u0aff \u1abf",
        "\u061d \u09fd \u2e43 \u166d \u1b7d \u10fff", "\ue000 \U000f0000 \u0378 \u2065 \U000e0001", "\u1c89 \ua7cb \ua7da \U00010d50 \U00016ea0",
        "naïve\u0301cafe\u0327\u0301", "\u1100\u1161\u11a8 \uac01", "\u212b \u2126 \u212a", "a\u00adb co\u2011op don\u2019t", "''' 's's 'll've're x's'", " 's 't",
    ]
    random.seed(7)
    pools = [range(32, 127), range(0, 0x250), range(0x300, 0x370), range(0x370, 0x600), range(0x900, 0xE00), range(0x2000, 0x2070), range(0x3000, 0x3100),
             range(0x4E00, 0x4F00), range(0x1F300, 0x1FA00), [32, 32, 9, 10, 39, 115, 116]]
    for i in range(200):
        some = random.sample(pools, 3)
        hard.append("".join(chr(random.choice(random.choice(some))) for _ in range(random.randint(1, 40))))
    return hard


def cases(tok):
    def ids(a, b=None):
        e = tok.encode(a, b)
        return {"a": a, "ids": short(e.ids)} if b is None else {"a": a, "b": b, "ids": short(e.ids), "segments": short(e.type_ids)}

    tok.no_padding()
    tok.no_truncation()
    all = texts()
    out = [ids(t) for t in all]
    out += [ids(a, b) for a, b in [("", ""), ("a", ""), ("", "b"), ("How are you?", "Fine, thanks."), ("[SEP]", "<mask> x"), (" x", " y")]]
    long, brief = "one two three four five six seven eight nine ten", "alpha beta gamma"
    for n in (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 40):
        tok.enable_truncation(n)
        for a, b in [(long, None), (brief, None), ("", None), (long, brief), (brief, long), (long, long), (brief, brief), ("", long), (long, "")]:
            if b is not None and n < 4:
                continue
            try:
                out.append(ids(a, b) | {"max": n})
            except BaseException as e:
                print(n, a, b, e, file=sys.stderr)
    tok.no_truncation()
    return out


def corpus(toks):
    """Four hexadecimal digits a text, 25 texts a line: of CRC-32 over its ids and segments. At most 64 ids of each."""
    def lines(*path):
        with open(os.path.join(data, "glue", *path), encoding="utf-8", newline="\n") as f:
            return [line.rstrip("\r\n").split("\t") for line in f][1:]

    rows = [(r[0], None) for r in lines("SST-2", "train_full.tsv")[:3000] + lines("SST-2", "dev.tsv")] + [(r[1], r[2]) for r in lines("RTE", "train.tsv")[:1128]]
    out = {}
    for name, tok in toks.items():
        tok.no_padding()
        tok.enable_truncation(64)
        h = []
        for a, b in rows:
            e = tok.encode(a, b)
            h.append("%04x" % (zlib.crc32(" ".join(map(str, e.ids + e.type_ids)).encode()) & 0xFFFF))
        out[name] = ["".join(h[i:i + 25]) for i in range(0, len(h), 25)]
    return out


def short(ids):
    """Runs of more than three equal ids as [id, how many]."""
    out, i = [], 0
    while i < len(ids):
        j = i
        while j < len(ids) and ids[j] == ids[i]:
            j += 1
        out += [[ids[i], j - i]] if j - i > 3 else ids[i:j]
        i = j
    return out


if sys.argv[2:] == ["classes"]:
    print(json.dumps(classes(), indent=1))
    sys.exit()
dir = os.path.join(data, "tokenizers")
work = tempfile.mkdtemp()
shutil.copy(dir + "/roberta-base/merges.txt", work)
shutil.copy(dir + "/roberta-base/derived/vocab.json", work)
mask = tokenizers.AddedToken("<mask>", lstrip=True, special=True)  # as in the published tokenizer.json of roberta-base
toks = {
    "minilm": Tokenizer.from_file(dir + "/all-minilm-l6-v2/tokenizer.json"),
    "bert": BertTokenizerFast(vocab=dir + "/bert-base-uncased/vocab.txt").backend_tokenizer,
    "bert_cased": BertTokenizerFast(vocab=dir + "/bert-base-uncased/vocab.txt", do_lower_case=False).backend_tokenizer,
    "roberta": RobertaTokenizerFast(vocab=work + "/vocab.json", merges=work + "/merges.txt", mask_token=mask).backend_tokenizer,
    "roberta_space": RobertaTokenizerFast(vocab=work + "/vocab.json", merges=work + "/merges.txt", mask_token=mask, add_prefix_space=True).backend_tokenizer,
}
print(tokenizers.__version__, file=sys.stderr)
if sys.argv[2:] == ["corpus"]:
    print(json.dumps(corpus(toks), indent=1))
    sys.exit()
print("{")
for k, (name, tok) in enumerate(toks.items()):
    print(' "%s": [' % name)
    c = cases(tok)
    print(",\n".join("  " + json.dumps(x, ensure_ascii=True) for x in c))
    print(" ]" + ("," if k < len(toks) - 1 else ""))
print("}")
