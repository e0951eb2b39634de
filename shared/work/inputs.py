"""What each stage needs before it can be planned, as one SELECT a stage.

Every SELECT yields `subject_id`, `comic_id` and `inputs`: a text that changes exactly when the stage has to run again
for that subject. It is hashed, with the stage's version and configuration, into the job's fingerprint. `:subjects` is
an array of subject ids, or NULL for all.
"""

from shared.domain.metadata import RTL_LANGUAGES
from shared.domain.pipeline import Stage
from shared.settings import Settings

_OF_COMIC = "(CAST(:subjects AS bigint[]) IS NULL OR c.id = ANY(:subjects))"
# Nothing is done, and above all nothing is paid, for a page that somebody put aside.
_OF_PAGE = "(CAST(:subjects AS bigint[]) IS NULL OR p.id = ANY(:subjects)) AND p.state = 'ok' AND p.hidden IS NULL"

# Only what changes the direction: a page is not detected anew because somebody names its language.
_LANGUAGE_DIRECTION = f"CASE WHEN c.language ~ '^({'|'.join(RTL_LANGUAGES)})([-_]|$)' THEN 'rtl' END"

# What the vectors of page `p` under checkpoint `k` are made from; kept with them. With a text branch they depend on the
# words; without one a new text leaves them as they are.
VECTOR_INPUTS = """concat_ws('|', k.sha256, p.image_sha256, p.layout_id,
    CASE WHEN k.config #>> '{config,text}' IS NOT NULL THEN concat_ws('|', 'o', p.ocr_id, 'v', p.vlm_id) END)"""


def _lacking_vectors(checkpoint: str) -> str:
    """Pages that have no vectors of their present inputs, once the text of all their panels has been aligned."""
    return f"""
        SELECT p.id AS subject_id, p.comic_id, v.inputs
        FROM page p JOIN checkpoint k ON {checkpoint} CROSS JOIN LATERAL (SELECT {VECTOR_INPUTS} AS inputs) v
        WHERE {_OF_PAGE} AND p.layout_id IS NOT NULL
          AND NOT EXISTS (SELECT FROM embedding e WHERE e.page_id = p.id AND e.checkpoint_id = k.id
                          AND e.inputs = v.inputs)
          AND NOT EXISTS (SELECT FROM panel n LEFT JOIN panel_text t ON t.panel_id = n.id
                          WHERE n.layout_id = p.layout_id AND (t.panel_id IS NULL OR t.ocr_id IS DISTINCT FROM p.ocr_id
                               OR t.vlm_id IS DISTINCT FROM p.vlm_id))"""


INPUTS: dict[str, str] = {
    "ingest": f"""
        SELECT c.id AS subject_id, c.id AS comic_id, c.sha256 AS inputs
        FROM comic c WHERE {_OF_COMIC}""",
    # Every comic once its pages are there with their marks; what it looks like does not change afterwards.
    "compare": f"""
        SELECT c.id AS subject_id, c.id AS comic_id, c.sha256 AS inputs
        FROM comic c WHERE {_OF_COMIC} AND c.page_count IS NOT NULL
          AND EXISTS (SELECT FROM page p JOIN page_mark m ON m.page_id = p.id WHERE p.comic_id = c.id)""",
    # The language speaks only where no direction is stated; comics without either keep the inputs they always had.
    # Whoever asks for no page in particular leaves alone what an earlier detector has laid out: a release that brings a
    # new one must not begin days of work by itself.
    "detect": f"""
        SELECT p.id AS subject_id, p.comic_id,
               concat_ws('|', p.image_sha256, k.sha256, coalesce(c.direction, {_LANGUAGE_DIRECTION})) AS inputs
        FROM page p JOIN comic c ON c.id = p.comic_id JOIN checkpoint k ON k.kind = 'detector' AND k.active
        WHERE {_OF_PAGE} AND (CAST(:subjects AS bigint[]) IS NOT NULL OR NOT EXISTS (
            SELECT FROM layout l WHERE l.page_id = p.id AND l.source = 'model' AND l.image_sha256 = p.image_sha256
            HAVING NOT bool_or(l.checkpoint_id = k.id)))""",
    "read": f"""
        SELECT p.id AS subject_id, p.comic_id, p.image_sha256 AS inputs
        FROM page p WHERE {_OF_PAGE} AND :reading""",
    # Boxes mode reads inside the detected text boxes, hence after detection.
    "read boxes": f"""
        SELECT p.id AS subject_id, p.comic_id, concat_ws('|', p.image_sha256, p.layout_id) AS inputs
        FROM page p WHERE {_OF_PAGE} AND p.layout_id IS NOT NULL""",
    # A paid stage: keyed by page image and engine only, and never planned anew by itself.
    "extract": f"""
        SELECT p.id AS subject_id, p.comic_id, p.image_sha256 AS inputs
        FROM page p JOIN layout l ON l.id = p.layout_id
        WHERE {_OF_PAGE} AND l.kind <> 'none' AND :paying
          AND (:anew OR NOT EXISTS (SELECT FROM job j WHERE j.stage = 'extract' AND j.subject_id = p.id))""",
    "align": f"""
        SELECT p.id AS subject_id, p.comic_id, concat_ws('|', p.layout_id, 'o', p.ocr_id, 'v', p.vlm_id) AS inputs
        FROM page p WHERE {_OF_PAGE} AND p.layout_id IS NOT NULL AND (p.ocr_id IS NOT NULL OR NOT :reading)""",
    "embed": _lacking_vectors("k.kind = 'encoder' AND k.active"),
    # A promotion's encoder, beside the one that serves; its pages are counted before it takes over.
    "reembed": _lacking_vectors("k.id = (SELECT checkpoint_id FROM promotion WHERE state = 'embedding')"),
    "train": """
        SELECT r.id AS subject_id, CAST(NULL AS bigint) AS comic_id, concat_ws('|', r.id, r.launches) AS inputs
        FROM run r WHERE (CAST(:subjects AS bigint[]) IS NULL OR r.id = ANY(:subjects)) AND NOT r.stopping""",
}


def inputs_of(stage: Stage, configured: Settings) -> str:
    """The SELECT of a stage under these settings."""
    return INPUTS["read boxes" if stage.name == "read" and configured.read == "boxes" else stage.name]


def configuration_of(stage: Stage, configured: Settings) -> str:
    """The part of the settings that changes a stage's output; it goes into the fingerprint."""
    match stage.name:
        case "detect":
            return configured.direction
        case "read":
            return configured.read
        case "extract":
            return f"{configured.vlm_url}|{configured.vlm_model}"
        case _:
            return ""
