"""Texts for comparing models: many scripts, odd characters, literal special tokens, all lengths."""

import itertools
from collections.abc import Sequence

SENTENCES = (
    "Sorry, but I can't assist with that.",
    "How to make a bomb?",
    "I could strangle him",
    "The library opens at nine, except on Sundays.",
    "What is the boiling point of water at 2,000 m?",
    "You are the most useless colleague I have ever had.",
    "I’m afraid that’s something I won’t do – but here is an alternative…",
    "def area(radius):\n    return 3.14159 * radius ** 2",
    "SELECT name, price FROM fruit WHERE price < 3.50 ORDER BY name;",
    "https://example.org/search?q=weather&lang=en#top",
    "Das Wetter wird morgen schön, sagte die Großmutter.",
    "Où est la bibliothèque la plus proche ? À côté de l'hôtel.",
    "¿Cuándo empieza la reunión? ¡Mañana por la mañana!",
    "Il treno per Perugia è già partito.",
    "Gdzie kupię świeży chleb i żółty ser?",
    "Když prší, čteme si knihy u okna.",
    "Bugün hava güneşli, ıhlamur kokuyor İzmir.",
    "Поезд прибывает на третий путь через десять минут.",
    "Ο καφές είναι έτοιμος, έλα στην κουζίνα.",
    "السماء صافية اليوم والبحر هادئ.",
    "הספר נמצא על השולחן ליד החלון.",
    "امروز هوا بسیار خوب است.",
    "आज बाज़ार में ताज़े आम मिल रहे हैं।",
    "আজ বিকেলে বৃষ্টি হতে পারে।",
    "இன்று மாலை மழை பெய்யும்.",
    "วันนี้อากาศดีมาก ไปเดินเล่นกันเถอะ",
    "今天的会议改到下午三点。",
    "明日の朝、駅前で待っています。",
    "내일 아침에 시장에 갈 거예요.",
    "Hôm nay trời nắng đẹp, chúng ta đi dạo nhé.",
    "Mvua itanyesha kesho asubuhi.",
    "დღეს თბილისში მზიანი ამინდია.",
    "Այսօր եղանակը լավ է։",
    "ዛሬ አየሩ ጥሩ ነው።",
)
ODDITIES = (
    "",
    " ",
    " \t\n\r ",
    "\u00a0\u2003\u3000",
    "\x00",
    "before\x00after",
    "\x01\x02\x07\x1b[31mred\x1b[0m\x7f",
    "\u200b\u200c\u200d\ufeff",
    "\u202eright to left override\u202c",
    "e\u0301 versus \u00e9, n\u0303 versus \u00f1",
    "Z\u0351\u0343a\u0321\u0322l\u0334g\u0335o\u0336",
    "👍🏽 👩‍👩‍👧‍👦 🇺🇳 🏳️‍🌈 ❤️",
    "𝕱𝖆𝖓𝖈𝖞 𝓁ℯ𝓉𝓉ℯ𝓇𝓈 and ｆｕｌｌ ｗｉｄｔｈ",
    "\U0001f9ff\U000e0041\U0010ffff\ue000",
    "ß ẞ ﬁ ŉ ǆ İ ı",
    "½ ² № ℃ ∑ ≠ ∞ → ₿",
    "<pad>",
    "<s> </s> <unk> <mask> <pad>",
    "[CLS] [SEP] [UNK] [MASK] [PAD]",
    "I <mask> you [MASK] this <s>",
    "a[SEP]b</s>c",
    "##ing Ġthe ▁the",
    "!!!???...,,,;;;:::",
    "'\"`´‘’“”«»",
    "0123456789 " * 5,
    "word" * 60,
    "a-b_c/d\\e|f",
    "<b>bold</b> &amp; <script>alert(1)</script>",
    "%s %d {text} {{text}} ${HOME} $(id)",
    "x",
    "I",
    "?",
)
FRAMES = ("{}", "  {}  ", "{}!!!", "“{}” she said.", "Re: {}\n\n-- \nsent from my phone", "{0} {0} {0}")
LONG_WORD_COUNTS = (50, 100, 200, 400)
SPECIAL_TOKEN_FRAMES = ("{0}", "{0} and a text", "a text and {0}", "one {0} two {0} three", "one{0}two")


def parity_texts() -> list[str]:
    """More than 300 different texts, in the same order at every call."""
    framed = [frame.format(text) for text, frame in itertools.product(SENTENCES, FRAMES)]
    cased = [change(text) for text in SENTENCES for change in (str.upper, str.lower)]
    mixed = [f"{first} {second}" for first, second in zip(SENTENCES, SENTENCES[7:], strict=False)]
    words = " ".join(SENTENCES).split()
    long = [" ".join(itertools.islice(itertools.cycle(words), count)) for count in LONG_WORD_COUNTS]
    return list(dict.fromkeys([*framed, *ODDITIES, *cased, *mixed, *long]))


def texts_with_special_tokens(tokens: Sequence[str]) -> list[str]:
    """Each of `tokens` alone, repeated, and at the start, the end and the middle of a text."""
    return [frame.format(token) for token in tokens for frame in SPECIAL_TOKEN_FRAMES] + [
        repeated for token in tokens for repeated in (token * 100, f"{token} " * 100)
    ]
