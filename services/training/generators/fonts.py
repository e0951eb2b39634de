"""Typefaces for made lettering, all from packages: Pillow's own, a few hands, PyMuPDF's base fonts and its CJK font."""

import importlib.resources
import io
from functools import lru_cache

import numpy as np
import pymupdf
from PIL import Image, ImageDraw, ImageFont

Face = ImageFont.FreeTypeFont | ImageFont.ImageFont
HANDS = {
    "comic": ("font_intuitive", "Intuitive.ttf"),
    "narrow": ("font_amatic_sc", "AmaticSC-Bold.ttf"),
    "heavy": ("font_fredoka_one", "FredokaOne-Regular.ttf"),
}
PRINTED = {
    "sans": "helv",
    "sans bold": "hebo",
    "sans italic": "heit",
    "serif": "tiro",
    "serif bold": "tibo",
    "serif italic": "tiit",
    "typewriter": "cour",
}
PLAIN = "plain"
SPOKEN = ("comic", "comic", "comic", "plain", "plain", "heavy", "narrow", "sans bold", "sans italic", "serif")
LOUD = ("heavy", "heavy", "comic", "sans bold", "narrow", "serif bold")
BODY = ("serif", "serif", "sans", "typewriter", "plain", "serif bold", "comic")
# Characters are written out so that lettering reads like the script: kana with some hundred common kanji, syllables.
KANA = (
    "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわを"
    "んがぎぐげござじずぜぞだでどばびぶべぼっゃゅょ"
)
KATAKANA = "".join(chr(ord(sign) + 0x60) for sign in KANA)
KANJI = (
    "日一国会人年大十二本中長出三同時政事自行社見月分議後前民生連五発間対上部東者党地合市業内相方四定今回新場金員九入選立開手米力"
    "学問高代明実円関決子動京全目表戦経通外最言氏現理調体化田当八六約主題下首意法不来作性的要用制治度務強気小七成期公野協取都和"
)
HANGUL = (
    "가나다라마바사아자차카타파하고노도로모보소오조초코토포호구누두루무부수우주추쿠투푸후그느드"
    "르므브스은는을를이가에서한국사람말했다있었지요"
)
SCRIPTS = ("japanese", "chinese", "korean", "katakana", "invented")
_DRAWN = 44


@lru_cache(maxsize=16)
def _file(name: str) -> bytes | None:
    """The font file of a name; None stands for Pillow's built-in font."""
    if name in HANDS:
        package, file = HANDS[name]
        try:
            return (importlib.resources.files(package) / "files" / file).read_bytes()
        except ModuleNotFoundError:
            # Where the fonts are not installed pages are lettered all the same, in fewer hands.
            return None
    if name in PRINTED:
        return bytes(pymupdf.Font(PRINTED[name]).buffer)
    return None


@lru_cache(maxsize=96)
def face(name: str, size: int) -> Face:
    """The typeface of a name (HANDS, PRINTED, PLAIN) at a size in pixels."""
    file = _file(name)
    return ImageFont.load_default(size=size) if file is None else ImageFont.truetype(io.BytesIO(file), size)


@lru_cache(maxsize=1)
def _cjk() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(io.BytesIO(bytes(pymupdf.Font("cjk").buffer)), _DRAWN)


def characters(rng: np.random.Generator, *, script: str, count: int) -> str:
    """A run of characters that looks like a phrase of the script; made-up signs are private-use characters."""
    if script == "japanese":
        pick = [KANA if v < 0.62 else KANJI if v < 0.9 else KATAKANA for v in rng.random(count)]
    else:
        pick = [{"chinese": KANJI, "korean": HANGUL, "katakana": KATAKANA}.get(script, INVENTED)] * count
    text = "".join(signs[int(rng.integers(len(signs)))] for signs in pick)
    return text[:-1] + str(rng.choice(["！", "。", "？", "…"])) if count > 3 and rng.random() < 0.5 else text


INVENTED = "".join(chr(0xE000 + k) for k in range(60))


@lru_cache(maxsize=900)
def _drawing(sign: str, weight: int) -> Image.Image:
    """One sign, white on black, in a square of _DRAWN pixels, its strokes `weight` pixels bolder on either side."""
    mask = Image.new("L", (_DRAWN, _DRAWN))
    draw = ImageDraw.Draw(mask)
    if sign not in INVENTED:
        draw.text((_DRAWN / 2, _DRAWN / 2), sign, font=_cjk(), fill=255, anchor="mm", stroke_width=weight)
        return mask
    rng = np.random.default_rng(ord(sign))
    for _ in range(int(rng.integers(3, 8))):
        x, y = (int(v) for v in rng.integers(4, _DRAWN - 7, 2))
        reach, turn = int(rng.integers(11, 33)), int(rng.integers(4))
        end = [(x + reach, y), (x, y + reach), (x + reach, y + reach // 2), (x - reach // 2, y + reach)][turn]
        draw.line((x, y, *end), fill=255, width=4 + weight)
    return mask


@lru_cache(maxsize=4096)
def glyph(sign: str, size: int, weight: int = 0) -> Image.Image:
    """One CJK or made-up sign as a square mask of `size` pixels; `weight` 0 to 3 makes it bolder."""
    smooth = Image.Resampling.BOX if size < _DRAWN else Image.Resampling.BILINEAR
    return _drawing(sign, weight).resize((size, size), smooth)
