"""Bad input made on the fly, so that no binary lies in the repository. Everything is small on disk."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping

import pymupdf
from PIL import Image, ImageDraw

CENTRAL, LOCAL = b"PK\x01\x02", b"PK\x03\x04"
# Offsets from the signature of a header: (central, local).
FLAGS, METHOD, SIZE = (8, 6), (10, 8), (24, 22)


def picture(
    width: int = 96, height: int = 64, *, kind: str = "JPEG", mode: str = "RGB", seed: int = 0, exif: bytes = b""
) -> bytes:
    """A small drawing whose every corner differs; `seed` moves it, so that pages differ."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for step in range(0, width, 6):
        draw.line(((step, 0), (width - step, height)), fill=((step * 7 + seed) % 256, (step * 3) % 256, 90), width=2)
    draw.rectangle((2, 2, width // 3, height // 4), fill="red")
    out = io.BytesIO()
    options = {"exif": exif} if exif else {}
    image.convert(mode).save(out, kind, **options)
    return out.getvalue()


def turned(orientation: int, *, width: int = 96, height: int = 64, kind: str = "JPEG") -> bytes:
    """A picture of `width` × `height` stored pixels with an EXIF orientation of 1 to 8."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return picture(width, height, kind=kind, exif=exif.tobytes())


def zipped(entries: Mapping[str, bytes] | Iterable[tuple[str, bytes]], *, method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of named entries, names taken as they are."""
    pairs = entries.items() if isinstance(entries, Mapping) else entries
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in pairs:
            entry = zipfile.ZipInfo("x")
            entry.filename, entry.compress_type = name, method
            archive.writestr(entry, data)
    return out.getvalue()


def comic(pages: int = 3) -> bytes:
    """An honest little CBZ."""
    return zipped({f"p{number}.jpg": picture(seed=number) for number in range(1, pages + 1)})


def patched(archive: bytes, at: tuple[int, int], form: str, value: int) -> bytes:
    """Every header of a zip with one field overwritten: what an archive says about itself, falsified."""
    changed = bytearray(archive)
    for sign, offset in ((CENTRAL, at[0]), (LOCAL, at[1])):
        found = changed.find(sign)
        while found >= 0:
            struct.pack_into(form, changed, found + offset, value)
            found = changed.find(sign, found + 4)
    return bytes(changed)


def encrypted_zip() -> bytes:
    """A CBZ whose entries are marked as encrypted."""
    return patched(comic(), FLAGS, "<H", 1)


def packed_with(method: int) -> bytes:
    """A CBZ whose entries claim a compression method by its number (9 deflate64, 98 ppmd …)."""
    return patched(comic(), METHOD, "<H", method)


def zip_bomb(size: int = 100 << 20) -> bytes:
    """A page of zeros, a thousandth of its size on disk."""
    return zipped({"p1.jpg": bytes(size)}, method=zipfile.ZIP_DEFLATED)


def lying_zip(data: bytes, *, declared: int) -> bytes:
    """A deflated page `p1.jpg` that declares another size than it has, beside an honest page."""
    lie = bytearray(zipped({"p1.jpg": data, "p2.jpg": picture()}, method=zipfile.ZIP_DEFLATED))
    for sign, offset in ((CENTRAL, SIZE[0]), (LOCAL, SIZE[1])):
        struct.pack_into("<I", lie, lie.find(sign) + offset, declared)
    return bytes(lie)


def flipped_zip() -> bytes:
    """A CBZ whose only page was damaged after packing, so that its checksum is wrong."""
    damaged = bytearray(zipped({"p1.jpg": picture()}))
    damaged[600] ^= 0xFF
    return bytes(damaged)


def overlapping_zip(times: int = 50) -> bytes:
    """One packed page, listed many times: each listing unpacks it again."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("p1.jpg", picture())
        archive.filelist.extend(archive.filelist * times)
    return out.getvalue()


def huge_png(width: int = 40_000, height: int = 40_000) -> bytes:
    """A PNG whose header promises an enormous picture, in a few hundred bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(10_000))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pdf(pages: int = 2, *, password: str | None = None) -> bytes:
    """A PDF of drawn pages; with a password it cannot be opened."""
    document = pymupdf.open()
    for number in range(pages):
        page = document.new_page(width=300, height=400)
        page.insert_text((50, 50), f"page {number + 1}")
        page.draw_rect((40, 80, 260, 300), fill=(0.2, 0.5, 0.9))
    if password is None:
        return bytes(document.tobytes())
    return bytes(document.tobytes(encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw=password, owner_pw=password))


def empty_pdf() -> bytes:
    """A well-formed PDF of 0 pages."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>"]
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj%sendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 3\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return bytes(out + b"trailer<</Root 1 0 R/Size 3>>\nstartxref\n%d\n%%%%EOF\n" % start)


def epub() -> bytes:
    """The beginning of an EPUB, with a picture in it."""
    return zipped({"mimetype": b"application/epub+zip", "OPS/cover.jpg": picture()})


def protected_epub(algorithm: str = "http://www.w3.org/2001/04/xmlenc#aes256-cbc") -> bytes:
    """An EPUB that says that its picture is encrypted by this method."""
    method = f"<EncryptedData><EncryptionMethod Algorithm='{algorithm}'/></EncryptedData>"
    return zipped(
        {
            "mimetype": b"application/epub+zip",
            "META-INF/encryption.xml": f"<encryption>{method}</encryption>".encode(),
            "OPS/cover.jpg": picture(),
        }
    )


# File name -> bytes of a file that must be refused as a whole, with an error that names it.
REFUSED: dict[str, Callable[[], bytes]] = {
    "nothing.cbz": lambda: b"",
    "renamed text.cbz": lambda: "Dear reader, this is no comic. ¡Adiós!\n".encode() * 50,
    "noise.cbz": lambda: bytes(range(128, 256)) * 20,
    "climbing.cbz": lambda: zipped({"../../p1.jpg": picture(), "p2.jpg": picture()}),
    "climbing backwards.cbz": lambda: zipped({"..\\p1.jpg": picture()}),
    "bomb.cbz": zip_bomb,
    "overlapping.cbz": overlapping_zip,
    "cut off.cbz": lambda: comic()[:-200],
    "cut off early.cbz": lambda: comic()[:100],
    "locked.cbz": encrypted_zip,
    "no pictures.cbz": lambda: zipped({"readme.txt": b"hello", "a/b.nfo": b"x"}),
    "nothing inside.cbz": lambda: zipped({}),
    "nested.zip": lambda: zipped({"inner.cbz": comic(), "more.rar": b"Rar!\x1a\x07\x00"}),
    "office.cbz": lambda: zipped({"[Content_Types].xml": b"<Types/>", "word/media/image1.png": picture(kind="PNG")}),
    "protected.epub": protected_epub,
    "really a rar.cbz": lambda: b"Rar!\x1a\x07\x01\x00" + bytes(200),
    "really 7z.cbz": lambda: b"7z\xbc\xaf\x27\x1c" + bytes(200),
    "tape.cbt": lambda: bytes(257) + b"ustar\x0000" + bytes(500),
    "novel.mobi": lambda: bytes(60) + b"BOOKMOBI" + bytes(500),
    "half a document.acbf": lambda: b"<?xml version='1.0'?><ACBF><body><page>",
    "single.jpg": picture,
    "no pages.pdf": empty_pdf,
    "locked.pdf": lambda: pdf(password="secret"),
    "cut off.pdf": lambda: pdf(pages=4)[:-600],
    "header only.pdf": lambda: b"%PDF-1.7\n",
}

# File name -> bytes of a file that opens, but of whose pages not one can be read.
UNREADABLE: dict[str, Callable[[], bytes]] = {
    "gigantic.cbz": lambda: zipped({"p1.png": huge_png()}),
    "cut off page.cbz": lambda: zipped({"p1.jpg": picture(400, 300)[:-500]}),
    "text pages.cbz": lambda: zipped({"p1.jpg": b"<html>404 not found</html>", "p2.jpg": b""}),
    "deflate64.cbz": lambda: packed_with(9),
    "ppmd.cbz": lambda: packed_with(98),
    "flipped bits.cbz": flipped_zip,
}
