"""What kind of comic a file is by its first bytes, whatever its name says."""

HEAD = 1024  # bytes that tell
SIGNS = (
    (0, b"PK\x03\x04", "zip"),
    (0, b"PK\x05\x06", "zip"),
    (0, b"PK\x07\x08", "zip"),
    (0, b"Rar!\x1a\x07\x00", "rar"),
    (0, b"Rar!\x1a\x07\x01\x00", "rar5"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (257, b"ustar", "tar"),
    (0, b"\x1f\x8b", "tar.gz"),
    (0, b"BZh", "tar.bz2"),
    (0, b"\xfd7zXZ\x00", "tar.xz"),
    (0, b"\x28\xb5\x2f\xfd", "tar.zst"),
)


def kind_of(head: bytes) -> str | None:
    """The kind of comic that may begin with `head` (`HEAD` bytes); None for anything else."""
    for offset, sign, kind in SIGNS:
        if head.startswith(sign, offset):
            return kind
    if _is_old_tar(head):
        return "tar"
    if b"%PDF-" in head:  # may stand after up to a kilobyte of other bytes
        return "pdf"
    if b"<ACBF" in head and head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "acbf"
    return None


def _is_old_tar(head: bytes) -> bool:
    """Whether this is a tar from before it had a signature: by the checksum of its first header."""
    header, said = head[:512], head[148:156].strip(b" \0")
    if len(header) < 512 or not said or not header[0] or not all(digit in b"01234567" for digit in said):
        return False
    return int(said, 8) == sum(header) - sum(header[148:156]) + 8 * ord(" ")
