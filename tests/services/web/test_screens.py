"""Every screen over a real database: it answers, it is safe to show, and what strangers wrote stays text."""

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from services.standalone import create_standalone, prepare
from services.web import pages
from services.web.api import app
from shared.http.app import SESSION, session_of
from shared.settings import Settings, settings
from shared.store.db import row, unit_of_work
from tests.equipment.rows import add_pages, execute

HOSTILE = "<script>alert(1)</script> \"><img src=x onerror=alert(1)> '-alert(1)-' {{ 7 * 7 }} \u202egpj.exe \u2066<b>"
POLICY = {
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' blob:", "connect-src 'self'",
    "font-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
}  # fmt: skip


@pytest.fixture
def client(configured: Settings) -> TestClient:
    """A browser without cookies, at an installation of its own."""
    assert configured.database_url
    return TestClient(app, follow_redirects=False)


class Written(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def number(url: str, statement: str, **parameters: object) -> int:
    """The id that an INSERT … RETURNING id gives."""
    with unit_of_work(url) as connection:
        found = row(connection, statement, **parameters)
    assert found is not None
    return int(found["id"])


@pytest.fixture
def screens(configured: Settings) -> dict[str, str]:
    """An address for every screen, over rows in which everything a stranger can write is hostile."""
    url = str(configured.database_url)
    first, second, third = add_pages(url, 3, title=HOSTILE)
    with unit_of_work(url) as connection:
        found = row(connection, "SELECT comic_id FROM page WHERE id = :id", id=first)
    assert found is not None
    comic = found["comic_id"]
    job = number(
        url,
        "INSERT INTO job (stage, subject_id, comic_id, fingerprint, state, attempt, max_attempts, error) "
        "VALUES ('detect', :page, :comic, 'x', 'failed', 3, 3, :error) RETURNING id",
        page=second, comic=comic, error=HOSTILE,
    )  # fmt: skip
    execute(
        url,
        "UPDATE page SET state = 'unreadable', error = :error, name = :error, image_sha256 = NULL WHERE id = :id",
        error=HOSTILE, id=third,
    )  # fmt: skip
    layout = number(
        url,
        "INSERT INTO layout (page_id, source, kind, direction, objects) VALUES (:page, 'model', 'panels', 'ltr', '[]') "
        "RETURNING id",
        page=first,
    )
    execute(url, "UPDATE page SET layout_id = :layout WHERE id = :page", layout=layout, page=first)
    for position in range(2):
        panel = number(
            url,
            "INSERT INTO panel (layout_id, position, x, y, w, h, score) VALUES (:layout, :n, 0, 10, 50, 20, 0.9) "
            "RETURNING id",
            layout=layout, n=position,
        )  # fmt: skip
        execute(
            url,
            "INSERT INTO panel_text (panel_id, literal, descriptive, normalised, pieces, characters, reason, verdict) "
            "VALUES (:panel, :said, :said, '', CAST(:pieces AS jsonb), CAST(:who AS jsonb), :said, 'unverified')",
            panel=panel, said=HOSTILE, who=json.dumps([HOSTILE]),
            pieces=json.dumps(
                [{"kind": "dialogue", "text": HOSTILE, "source": "vlm", "confidence": 1, "speaker": HOSTILE}]
                if position else []
            ),
        )  # fmt: skip
    execute(
        url,
        "INSERT INTO alignment (page_id, perfect, reason, layout_id, leftovers) "
        "VALUES (:page, false, :said, :layout, CAST(:texts AS jsonb))",
        page=first, said=HOSTILE, layout=layout, texts=json.dumps([{"text": HOSTILE}]),
    )  # fmt: skip
    execute(url, "INSERT INTO budget (name, limit_usd, spent_usd, held_usd) VALUES (:name, 5, 1, 0.5)", name=HOSTILE)
    for model, cost in ((HOSTILE, None), ("told", 0.25)):
        execute(
            url,
            "INSERT INTO vlm_call (request_id, budget, fingerprint, state, model, reserved_usd, cost_usd, "
            "completed_at) VALUES (md5(random()::text), :budget, 'x', 'answered', :model, 1, :cost, now())",
            budget=HOSTILE, model=model, cost=cost,
        )  # fmt: skip
    parts = ("comics", "pages", "panels")
    counted = (*parts, "panels_with_text", "silent_panels", *(f"{side}_{part}" for side in ("train", "held_out")
               for part in parts))  # fmt: skip
    counts = dict.fromkeys(counted, 4)
    dataset = number(
        url,
        "INSERT INTO dataset (name, fingerprint, origin, request, counts, warnings, key) VALUES (:said, 'f', "
        "'imported', CAST(:request AS jsonb), CAST(:counts AS jsonb), CAST(:warnings AS jsonb), 'd') RETURNING id",
        said=HOSTILE, request=json.dumps({"quality": HOSTILE}), counts=json.dumps(counts),
        warnings=json.dumps([HOSTILE]),
    )  # fmt: skip
    run = number(
        url,
        "INSERT INTO run (dataset_id, option, config) VALUES (:dataset, 'base', CAST(:config AS jsonb)) RETURNING id",
        dataset=dataset, config=json.dumps({"epochs": 2, "image_backbone": HOSTILE}),
    )  # fmt: skip
    execute(
        url,
        "INSERT INTO job (stage, subject_id, fingerprint, state, attempt, max_attempts, error) "
        "VALUES ('train', :run, 'x', 'failed', 3, 3, :error)",
        run=run, error=HOSTILE,
    )  # fmt: skip
    execute(
        url,
        "INSERT INTO run_metric (run_id, step, epoch, kind, values) "
        "VALUES (:run, 1, 1, 'held_out', CAST(:values AS jsonb))",
        run=run, values=json.dumps({"crop_to_panel_r1": 0.5, "crop_to_panel_r1_chance": 0.1}),
    )  # fmt: skip
    assert job
    twin = describe(url, comic)
    return {
        "library": "/ui/", "found": "/ui/?title=script", "not found": "/ui/?title=%3Cscript%3E%22%3E%3Cimg",
        "cards": f"/ui/cards?ids={comic}", "comic": f"/ui/comics/{comic}", "page": f"/ui/pages/{first}",
        "unreadable page": f"/ui/pages/{third}", "search": f"/ui/search?panel={panel}", "training": "/ui/training",
        "dataset": f"/ui/datasets/{dataset}", "run": f"/ui/runs/{run}", "costs": "/ui/costs", "work": "/ui/work",
        "hidden comic": f"/ui/comics/{twin}", "hidden page": f"/ui/pages/{second}", "duplicates": "/ui/duplicates",
        "decided": "/ui/duplicates?kind=page&state=decided", "shelf": f"/ui/?collection={quote(HOSTILE)}",
    }  # fmt: skip


def describe(url: str, comic: int) -> int:
    """Say about a comic, in every place where a stranger may speak, something hostile; a hidden duplicate of it."""
    told = dict.fromkeys(("imprint", "rating", "summary"), HOSTILE) | {"web": "javascript:alert(1)", "month": 5}
    listed = {"genres": [HOSTILE], "people": {HOSTILE: [HOSTILE]}, "identifiers": {HOSTILE: HOSTILE}}
    details = {**told, **listed, "title": HOSTILE, "year": 1999, "other": {HOSTILE: HOSTILE}}
    execute(
        url,
        "UPDATE comic SET series = :said, number = :said, volume = 1, year = 1999, publisher = :said, "
        "language = :said, source = :said, collection = :said, reference = :said, reference_mtime_ns = 1, "
        "details = CAST(:details AS jsonb), origins = CAST(:origins AS jsonb) WHERE id = :comic",
        comic=comic, said=HOSTILE, details=json.dumps(details),
        origins=json.dumps(dict.fromkeys(details, "comicinfo") | {"series": "person"}),
    )  # fmt: skip
    execute(
        url,
        "INSERT INTO comic_metadata (comic_id, origin, fields, warnings) "
        "VALUES (:comic, 'comicinfo', '{}', CAST(:warnings AS jsonb))",
        comic=comic, warnings=json.dumps([HOSTILE]),
    )  # fmt: skip
    execute(
        url,
        "INSERT INTO source_file (location, size, mtime_ns, comic_id) VALUES ('nas:' || :said, 1, 1, :comic)",
        comic=comic, said=HOSTILE,
    )  # fmt: skip
    execute(
        url,
        "UPDATE page SET hidden = 'deleted', label = 'advertisement', shape = 'spread' WHERE comic_id = :comic "
        "AND number = 1",
        comic=comic,
    )  # fmt: skip
    twin = number(
        url,
        "INSERT INTO comic (sha256, file_name, title, size, media_type, page_count, hidden) "
        "VALUES ('twin', :said, :said, 1, 'x', 0, true) RETURNING id",
        said=HOSTILE,
    )  # fmt: skip
    execute(
        url,
        "INSERT INTO comic_match (a_id, b_id, score, shared, verdict, decided_at) VALUES (:a, :b, 1, 3, 'same', now())",
        a=comic, b=twin,
    )  # fmt: skip
    return twin


def safe(answer_headers: object) -> None:
    headers = dict(answer_headers)  # type: ignore[call-overload]
    assert set(headers["content-security-policy"].split("; ")) == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_every_screen_is_shown_and_what_strangers_wrote_stays_text(client: TestClient, screens: dict[str, str]) -> None:
    for name, address in screens.items():
        answer = client.get(address)
        assert answer.status_code == 200, f"{name}: {answer.text[:300]}"
        safe(answer.headers)
        written = Written(answer.text)
        for tag, attributes in written.elements:
            assert not [key for key in attributes if key.startswith("on") or key == "style"], (name, tag, attributes)
            assert attributes.get("src") != "x", name
            assert tag != "style", name
            assert not str(attributes.get("href")).lower().startswith("javascript"), name
            if tag == "script":
                assert str(attributes.get("src")).startswith("/ui/"), name
        assert "49" not in written.text.replace("{{ 7 * 7 }}", ""), f"{name}: a template inside a template"
    seen = "".join(Written(client.get(address).text).text for address in screens.values())
    assert seen.count(HOSTILE) > 20, "the hostile text is shown, as text"


def test_every_screen_has_its_twin_in_json(client: TestClient, screens: dict[str, str], configured: Settings) -> None:
    prepare(configured)
    everything = TestClient(create_standalone())
    for name, address in screens.items():
        if name == "cards":
            continue
        links = [of for tag, of in Written(client.get(address).text).elements if tag == "link"]
        twins = [link["href"] for link in links if link.get("type") == "application/json"]
        assert len(twins) == 1, name
        answer = everything.get(str(twins[0]))
        assert answer.status_code == 200, f"{name}: {twins[0]} {answer.text[:200]}"
        assert answer.headers["content-type"] == "application/json", name


def test_empty_screens_teach_and_unknown_costs_are_called_unknown(
    client: TestClient, configured: Settings, request: pytest.FixtureRequest
) -> None:
    assert "Start with a comic" in client.get("/ui/").text
    assert "COMICS_VLM_BUDGET" in client.get("/ui/costs").text
    assert "Freeze one first" in client.get("/ui/training").text
    assert "Nothing failed" in client.get("/ui/work").text
    request.getfixturevalue("screens")
    assert configured.database_url
    costs = Written(client.get("/ui/costs").text).text
    assert "unknown" in costs
    assert "$0.25" in costs
    assert "$0.00" not in costs


def test_a_large_library_is_shown_slice_by_slice_and_filtered(client: TestClient, configured: Settings) -> None:
    execute(
        str(configured.database_url),
        "INSERT INTO comic (sha256, file_name, title, size, media_type, page_count) "
        "SELECT md5(n::text), n || '.cbz', 'Volume ' || n, 1, 'application/zip', 1 FROM generate_series(1, 130) n",
    )
    assert len(cards(client, "/ui/")) == 130
    assert "Volume 117" in client.get("/ui/?title=OLUME 117").text
    assert client.get("/ui/?title=OLUME 117").text.count('class="card"') == 1


def cards(client: TestClient, address: str | None) -> list[str]:
    """The comics of the library's slices, from an address on; each stands in one of them."""
    seen: list[str] = []
    while address is not None:
        elements = Written(client.get(address).text).elements
        seen += [str(of["id"]) for tag, of in elements if tag == "li" and "card" in str(of.get("class")).split()]
        onward = [str(of["href"]) for _, of in elements if str(of.get("hx-target")) == "closest .more"]
        address = onward[0] if onward else None
    assert len(seen) == len(set(seen))
    return seen


def test_the_library_offers_its_sources_and_collections_to_filter_by(client: TestClient, configured: Settings) -> None:
    def offered(address: str) -> dict[str, list[str | None]]:
        found: dict[str, list[str | None]] = {}
        for tag, of in Written(client.get(address).text).elements:
            if tag == "select" and of["id"] in ("source", "collection"):
                name = str(of["id"])
                found[name] = []
            elif tag == "option" and found:
                found[name].append(of["value"])
        return found

    execute(
        str(configured.database_url),
        "INSERT INTO comic (sha256, file_name, title, size, media_type, collection) "
        "SELECT md5(n::text), n || '.cbz', 'Volume ' || n, 1, 'x', CASE n % 2 WHEN 0 THEN 'Dark Horse' ELSE :odd END "
        "FROM generate_series(1, 130) n",
        odd=HOSTILE,
    )
    shelves = sorted(["Dark Horse", HOSTILE], key=str.lower)
    assert offered("/ui/") == offered("/ui/search") == {"collection": ["", *shelves]}, "one source is no choice"
    assert len(cards(client, "/ui/?collection=Dark+Horse")) == 65
    assert len(cards(client, f"/ui/?collection={quote(HOSTILE)}&title=7")) == 17
    assert "No comic stands there" in client.get("/ui/?collection=Dark+Horse&source=nowhere").text


def test_the_library_is_narrowed_by_words_of_title_and_series_and_counts_what_is_left(
    client: TestClient, configured: Settings
) -> None:
    execute(
        str(configured.database_url),
        "INSERT INTO comic (sha256, file_name, title, size, media_type, series, number, year, source, collection, "
        "hidden, page_count) SELECT md5(n::text), 'x', 'Issue ' || n, 1, 'x', "
        "CASE n % 2 WHEN 0 THEN 'The Lantern Year' END, n::text, 2014, "
        "CASE WHEN n < 4 THEN 'Calibre' ELSE 'upload' END, CASE WHEN n < 3 THEN 'Harbour' ELSE '' END, "
        "n = 6, 1 FROM generate_series(1, 9) n",
    )
    assert len(cards(client, "/ui/?title=year+LANTERN")) == 4, "each word somewhere, in any order"
    assert cards(client, "/ui/?title=lantern+issue+8") == ["comic-8"]
    assert len(cards(client, "/ui/?source=Calibre")) == 3
    assert len(cards(client, "/ui/?collection=+")) == 7, "those in no collection"
    whole = client.get("/ui/").text
    assert "The Lantern Year #8 · 2014" in whole
    assert all(label in whole for label in ("Calibre (3)", "upload (6)", "Harbour (2)", "In no collection (7)"))
    shelf = client.get("/ui/?source=Calibre").text
    assert all(label in shelf for label in ("Calibre (3)", "upload (6)", "Harbour (2)", "In no collection (1)"))
    assert whole.count('class="card aside"') == whole.count("hidden, a duplicate") == 1


def test_a_comic_tells_who_says_what_and_what_may_be_taken_back(client: TestClient, configured: Settings) -> None:
    url = str(configured.database_url)
    add_pages(url, 1, title="Bram and the drum")
    execute(
        url,
        "UPDATE comic SET year = 2014, language = 'ja', publisher = 'Harbour', reference = '/shelf/bram.cbz', "
        "reference_mtime_ns = 1, details = CAST(:details AS jsonb), origins = CAST(:origins AS jsonb)",
        details=json.dumps({"web": "https://example.org/bram", "people": {"writer": ["Ada Rowan", "Tom Okafor"]}}),
        origins=json.dumps({"year": "person", "publisher": "comicinfo", "language": "file name", "people": "calibre"}),
    )  # fmt: skip
    for place in ("studio:/shelf/bram.cbz", "nas:/backup/bram.cbz"):
        execute(url, "INSERT INTO source_file (location, size, mtime_ns, comic_id) VALUES (:at, 1, 1, 1)", at=place)
    shown = Written(client.get("/ui/comics/1").text)
    said = " ".join(shown.text.split())
    for words in ("Year2014you", "PublisherHarbourComicInfo", "Languagejaits file name",
                  "Readright to leftits language", "TitleBram and the drumits file name",
                  "WriterAda Rowan, Tom Okafor Calibre", "read where it lies", "studio:/shelf/bram.cbz read here",
                  "the file itself stays where it lies, untouched"):  # fmt: skip
        assert words in said, words
    assert [of["data-back"] for tag, of in shown.elements if "data-back" in of] == ["year"]
    assert ("https://example.org/bram", "noreferrer nofollow") in [
        (of.get("href"), of.get("rel")) for tag, of in shown.elements if tag == "a"
    ]


def test_what_a_comics_own_job_met_is_not_told_of_a_page_with_its_number(
    client: TestClient, configured: Settings
) -> None:
    url = str(configured.database_url)
    assert add_pages(url, 1) == [1]
    execute(
        url,
        "INSERT INTO job (stage, subject_id, comic_id, fingerprint, state, attempt, max_attempts, error) "
        "VALUES ('compare', 1, 1, 'x', 'failed', 3, 3, 'no memory')",
    )
    shown = client.get("/ui/comics/1").text
    assert "no memory" in shown
    assert shown.count('href="/ui/pages/1"') == 1, "its tile, and no failure of it"
    assert ">waiting<" in shown


def test_what_is_not_there_is_a_page_that_says_so(client: TestClient) -> None:
    for address in ("/ui/comics/77", "/ui/pages/77", "/ui/runs/77", "/ui/datasets/77", "/ui/nowhere", "/ui/comics/x",
                    "/ui/duplicates?kind=x", "/ui/pages/99999999999999999999999", "/ui/static/../api.py",
                    "/ui/vendor/nothing.js"):  # fmt: skip
        answer = client.get(address)
        assert answer.status_code == 404, address
        assert answer.headers["content-type"].startswith("text/html"), address
        safe(answer.headers)
    assert client.get("/").headers["location"] == "/ui/"


def test_files_are_kept_for_ever_only_under_the_hash_of_their_bytes(client: TestClient) -> None:
    for folder, name in (("static", "app.js"), ("static", "base.css"), ("vendor", "htmx.js"), ("vendor", "uplot.js")):
        address = pages.asset(folder, name)
        answer = client.get(address)
        assert answer.status_code == 200, f"{address}: `make setup` installs the libraries"
        assert "immutable" in answer.headers["cache-control"]
        assert client.get(address.split("?")[0]).headers["cache-control"] == "no-cache"
        assert client.get(f"/ui/{folder}/{name}?v=other").headers["cache-control"] == "no-cache"


def test_without_the_libraries_the_screens_say_how_to_get_them(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, configured: Settings
) -> None:
    assert configured.database_url
    assert "npm ci" not in client.get("/ui/").text
    monkeypatch.setattr(pages, "MODULES", configured.home / "nowhere")
    assert "npm ci" in client.get("/ui/").text
    assert "make setup" in client.get("/ui/vendor/htmx.js").text


@pytest.fixture
def token(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A token that the installation asks for."""
    assert client
    monkeypatch.setenv("COMICS_API_TOKEN", "secret-token")
    settings.cache_clear()
    yield "secret-token"
    settings.cache_clear()


def test_a_browser_signs_in_once_and_never_sees_the_token_again(client: TestClient, token: str) -> None:
    page = {"Accept": "text/html"}
    sent = client.get("/ui/search?q=carrot", headers=page)
    assert sent.status_code == 303
    assert sent.headers["location"] == "/ui/login?next=%2Fui%2Fsearch%3Fq%3Dcarrot"
    assert client.get("/", headers=page).headers["location"].startswith("/ui/login")
    assert client.get("/ui/").status_code == 401, "a program is told, not sent about"
    form = client.get(sent.headers["location"], headers=page)
    assert form.status_code == 200
    safe(form.headers)
    assert client.get(pages.asset("static", "base.css")).status_code == 200
    assert client.post("/ui/login", data={"token": "wrong"}).status_code == 401
    assert client.post("/ui/login", content=b"x" * 20_000).status_code == 413
    signed = client.post("/ui/login", data={"token": token, "next": "/ui/search?q=carrot"})
    assert (signed.status_code, signed.headers["location"]) == (303, "/ui/search?q=carrot")
    cookie = signed.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert token not in cookie
    assert client.get("/ui/", headers=page).status_code == 200
    assert token not in client.get("/ui/").text
    client.post("/ui/logout")
    assert client.get("/ui/").status_code == 401
    client.cookies.set(SESSION, session_of("another token"))
    assert client.get("/ui/").status_code == 401
    assert client.get("/ui/", headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/ui", "//evil.example", "/\\evil.example", "/comics", "javascript:alert(1)"]
)
def test_signing_in_leads_nowhere_else(client: TestClient, token: str, elsewhere: str) -> None:
    signed = client.post("/ui/login", data={"token": token, "next": elsewhere})
    assert signed.headers["location"] == "/ui/"


def test_another_sites_page_cannot_make_a_browser_act(client: TestClient, token: str) -> None:
    client.cookies.set(SESSION, session_of(token))
    for headers, status in (
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),  # another port of this machine
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"}, 303),
        ({"Origin": "http://testserver"}, 303),
        ({}, 303),
    ):
        assert client.post("/ui/logout", headers=headers).status_code == status, headers
    assert client.get("/ui/work", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
