"""Languages by one code each: libraries write `ja`, `jpn`, `Japanese` and `日本語` for the same."""

# ISO 639-1, then what else is written for it: ISO 639-2 codes, the English name and its own.
NAMES: dict[str, tuple[str, ...]] = {
    "ar": ("ara", "arabic", "العربية"), "bg": ("bul", "bulgarian"), "ca": ("cat", "catalan", "català"),
    "cs": ("ces", "cze", "czech", "čeština"), "da": ("dan", "danish", "dansk"),
    "de": ("deu", "ger", "german", "deutsch"), "el": ("ell", "gre", "greek"), "en": ("eng", "english"),
    "eo": ("epo", "esperanto"), "es": ("spa", "spanish", "español", "castellano"), "et": ("est", "estonian"),
    "eu": ("eus", "baq", "basque"), "fa": ("fas", "per", "persian", "farsi", "فارسی"),
    "fi": ("fin", "finnish", "suomi"),
    "fr": ("fra", "fre", "french", "français"), "gl": ("glg", "galician"), "he": ("heb", "hebrew", "iw", "עברית"),
    "hi": ("hin", "hindi"), "hr": ("hrv", "croatian"), "hu": ("hun", "hungarian", "magyar"),
    "id": ("ind", "indonesian", "in"), "is": ("isl", "ice", "icelandic"), "it": ("ita", "italian", "italiano"),
    "ja": ("jpn", "japanese", "jp", "日本語"), "ko": ("kor", "korean", "한국어"), "la": ("lat", "latin"),
    "lt": ("lit", "lithuanian"), "lv": ("lav", "latvian"), "ms": ("msa", "may", "malay"),
    "nb": ("nob",), "nl": ("nld", "dut", "dutch", "nederlands"), "no": ("nor", "norwegian", "norsk"),
    "pl": ("pol", "polish", "polski"), "pt": ("por", "portuguese", "português"),
    "ro": ("ron", "rum", "romanian"), "ru": ("rus", "russian", "русский"), "sk": ("slk", "slo", "slovak"),
    "sl": ("slv", "slovenian"), "sr": ("srp", "serbian"), "sv": ("swe", "swedish", "svenska"),
    "th": ("tha", "thai"), "tl": ("tgl", "tagalog", "filipino"), "tr": ("tur", "turkish", "türkçe"),
    "uk": ("ukr", "ukrainian"), "vi": ("vie", "vietnamese"), "zh": ("zho", "chi", "chinese", "中文"),
}  # fmt: skip
CODES = {name: code for code, names in NAMES.items() for name in names}
# Said where nobody knows, or where there are no words: no language at all.
UNSTATED = frozenset({"und", "zxx", "mul", "mis", "xx", "unknown", "none", "n/a"})


def language_code(text: str) -> str | None:
    """A language as BCP 47 in lower case, its first part ISO 639-1 where there is one; None where none is stated.

    What is not known is given back as it was written, to be checked by whoever takes it.
    """
    written = text.strip().lower().replace("_", "-")
    if not written or written in UNSTATED:
        return None
    first, dash, rest = written.partition("-")
    return f"{CODES.get(first, first)}{dash}{rest}"
