"""Writes tokenizer_goldens.json: texts and their tokens by tiktoken, for the vocabulary of models/tiny.gguf.

    python tokenizer_goldens.py                      with the packages of ../models/requirements.txt
    python tokenizer_goldens.py --tokenizer FILE --out OUT
                                                     the same texts by FILE (Meta's tokenizer.model); OUT is not checked in
"""

import argparse
import json
import pathlib
import random
import sys

import tiktoken

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "models"))
import make_tiny  # noqa: E402
import text  # noqa: E402

TEXTS = [
    "", " ", "  ", "   ", "\t", "\n", "\r\n", "\n\n\n", " \n", "\n ", "  \n  \n  ", "\t\t\tx", " \t \r\n\t x  ",
    "a", " a", "a ", "  a  ", "Hello world", "Hello  world", "Hello   world   ", "hello\u00a0world", "x\u2003\u2003y",
    "x\u3000y\u3000", "\u200bzero\u200bwidth", "\ufeffbom", "a\u0085b", "a\u2028b\u2029c", "\x00\x01\x7f\x1f",
    "it's IT'S it’s they'll THEY'LL we've WE'VE I'm I'M you'd YOU'D don't DON'T he're 's 'S '", "o'ſ ſ's K'ſ",
    "0 1 12 123 1234 12345 1234567890 3.14159 1,000,000 -5 ½ ² Ⅷ ٣٤٥٦ ৪২ 𝟘𝟙𝟚𝟛",
    "日本語のテキスト。漢字とかな、カタカナ！", "你好，世界。这是一个测试。", "안녕하세요 세계", "한글", "ﾊﾝｶｸ", "中文English混合123テスト",
    "🙂", "👍🏽👩‍👩‍👧‍👦🏳️‍🌈🇫🇷🇩🇪", "a🙂b 🙂 c", "☺️ ☺︎ ❤️‍🔥", "e\u0301 vs \u00e9 n\u0303 A\u030a", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L",
    "\u0301leading mark", " \u0301", "شكرا جزيلا ١٢٣", "שלום עולם", "مرحبا، كيف حالك؟", "abc \u202eשלום\u202c def", "हिन्दी में लिखा हुआ", "ไทยไม่มีช่องว่าง",
    "ǅ ǈ ǋ ᾈ ǅungla", "ʰʷ ªº ˈaɪ", "Ünïcödé ÄÖÜ ß ẞ İstanbul ıI", "HTTPServer camelCase XMLHttpRequest snake_case kebab-case",
    "\ue000\uf8ff", "\ud7ff\ue000", "\uffff\ufffe\ufffd", "\U0010ffff\U000f0000\U00010000\U0001f600", "\U000f0000<\U000f0000|eot|>",
    "fn main() {\n    let x = vec![1, 2, 3];\n    println!(\"{x:?}\");\n}\n", "def f(x):\n\treturn x**2  # ok\n\n\n", "if(a&&b||!c){d->e();}//x\n/*y*/",
    "<html><body class=\"a\">&nbsp;</body></html>", "SELECT * FROM t WHERE a='b';", "https://example.com/a/b/?q=1&r=%20#x", "C:\\path\\to\\file.txt",
    "a//\n/b", "...\n\n!!!\r\n???", " ...", "—–-‐ “quotes” ‘single’ «x»", "$100 €50 £20 ¥3 100%", "a+b=c±d≠e≤f∞", "1st 2nd 3rd 4G x86 v1.2.3",
    "<|eot|>", "<|begin_of_text|>", "a<|eot|>b", "<|eot|", "<|EOT|>", "<| eot |>", "<|header_start|>user<|header_end|>\n\nHi<|eot|>",
    "<<|eot|>>", "<|eom|><|eot|><|end_of_text|>", "<|python_start|>f()<|python_end|>", "<|nonexistent|>", "<|<|eot|>|>", "\n<|eot|>\n", " <|eot|> ",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "the the the thethethe", "ababababababababab", "!!!!!!!!!!!!!!!!!", "                                x",
    "\n" * 40, "\t" * 17 + "end", "a\r\rb\n\rc", "Hello\r\nworld\r\n\r\n", "end with spaces    \n", "end with tab\t",
]  # fmt: skip


def random_texts(count: int) -> list[str]:
    """Mixtures that no one would think of."""
    rng = random.Random(7)
    pieces = [*" \t\n\r'", "  ", "\r\n", "'s", "'LL", "<|eot|>", "the", "The", "THE", "é", "e\u0301", "\u0300", "ß", "ǅ", "ʰ", "漢", "か",
              "한", "ע", "ب", "अ", "\u093f", "🙂", "\u200d", "👍🏽", "1", "23", "456", "٣", "½", ".", ",", "!", "/", "_", "\u00a0", "\u3000", "\u2028", "\x00"]  # fmt: skip
    texts = ["".join(rng.choices(pieces, k=rng.randint(1, 24))) for _ in range(count // 2)]
    planes = [(0, 0x7F), (0x80, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x1FFFF), (0x20000, 0x10FFFF)]
    for _ in range(count - len(texts)):
        points = (rng.randint(*rng.choice(planes)) for _ in range(rng.randint(1, 16)))
        texts.append("".join(map(chr, points)))
    return texts


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tokenizer", type=pathlib.Path)
    arguments.add_argument("--out", type=pathlib.Path, default=HERE / "tokenizer_goldens.json")
    arguments.add_argument("--random", type=int, default=240, help="how many random texts")
    arguments = arguments.parse_args()
    ranks = text.read_tiktoken(arguments.tokenizer) if arguments.tokenizer else make_tiny.train(1024 - len(text.SPECIALS))
    specials = {special: len(ranks) + index for index, special in enumerate(text.SPECIALS)}
    oracle = tiktoken.Encoding("llama4", pat_str=text.PATTERN, mergeable_ranks=ranks, special_tokens=specials)
    rows = []
    for string in TEXTS + random_texts(arguments.random):
        plain = oracle.encode(string, disallowed_special=())
        parsed = oracle.encode(string, allowed_special="all")
        rows.append({"text": string, "tokens": plain} | ({"parsed": parsed} if parsed != plain else {}))
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    arguments.out.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
