"""What file names say, by a table of cases of many habits; what they do not say is not stated."""

import pytest

from services.ingestion.metadata.file_names import read_file_name
from services.ingestion.metadata.merging import tidy_title

CASES: dict[str, dict[str, object]] = {
    # American releases: number, year, tags
    "Series 012 (2014) (Digital) (Group).cbz": {"series": "Series", "number": "12", "year": 2014},
    "Series v03 012 (of 06).cbz": {"series": "Series", "volume": 3, "number": "12", "count": 6},
    "The Walking Dead #100.cbz": {"series": "The Walking Dead", "number": "100"},
    "The_Walking_Dead_100_(2012)_(c2c).cbr": {"series": "The Walking Dead", "number": "100", "year": 2012},
    "Batman (2016) 012 (Digital).cbz": {"series": "Batman", "number": "12", "year": 2016},
    "Batman 012 (May 2014).cbz": {"series": "Batman", "number": "12", "year": 2014},
    "Batman 012 (2014-2016).cbz": {"series": "Batman", "number": "12", "year": 2014},
    "Batman v2011 012 (2012).cbz": {"series": "Batman", "volume": 2011, "number": "12", "year": 2012},
    "Batman.012.2014.Digital-Empire.cbr": {"series": "Batman", "number": "12", "year": 2014},
    "batman-012-2014.cbz": {"series": "batman", "number": "12", "year": 2014},
    "Batman 012 2014.cbz": {"series": "Batman", "number": "12", "year": 2014},
    "Batman 012 (2014.cbz": {"series": "Batman", "number": "12", "year": 2014},
    "Batman 012 The Court of Owls (2012).cbz": {
        "series": "Batman", "number": "12", "title": "The Court of Owls", "year": 2012,
    },
    "Batman 12 of 24.cbz": {"series": "Batman", "number": "12", "count": 24},
    "DC - The New Frontier 01 of 06 (2004).cbr": {
        "series": "DC - The New Frontier", "number": "1", "count": 6, "year": 2004,
    },
    "DC - The New Frontier (1 of 6).cbr": {"series": "DC - The New Frontier", "number": "1", "count": 6},
    "Star Wars - Darth Vader 012 (2016).cbz": {"series": "Star Wars - Darth Vader", "number": "12", "year": 2016},
    "Usagi Yojimbo v3 #12.cbz": {"series": "Usagi Yojimbo", "volume": 3, "number": "12"},
    "Heavy Metal v04 12 (1981).cbz": {"series": "Heavy Metal", "volume": 4, "number": "12", "year": 1981},
    "Sandman, The 012.cbz": {"series": "Sandman, The", "number": "12"},
    "Dr. Strange 01.cbz": {"series": "Dr. Strange", "number": "1"},
    "x-men_(1963)_#001.cbz": {"series": "x-men", "number": "1", "year": 1963},
    "Action Comics 1000 (2018).cbz": {"series": "Action Comics", "number": "1000", "year": 2018},
    "Amazing Spider-Man v1 #121 - The Night Gwen Stacy Died (1973).cbz": {
        "series": "Amazing Spider-Man", "volume": 1, "number": "121", "title": "The Night Gwen Stacy Died",
        "year": 1973,
    },
    "Mickey Mouse Magazine Vol 4 No 5.cbz": {"series": "Mickey Mouse Magazine", "volume": 4, "number": "5"},
    "Mad Magazine No. 123 - June 1968.cbz": {"series": "Mad Magazine", "number": "123", "year": 1968},
    # Numbers that are no whole numbers
    "Batman #½ (2002).cbz": {"series": "Batman", "number": "½", "year": 2002},
    "Uncanny X-Men 012.1 (2013).cbz": {"series": "Uncanny X-Men", "number": "12.1", "year": 2013},
    "Wolverine -1 (1997).cbz": {"series": "Wolverine", "number": "-1", "year": 1997},
    "Wolverine #-1 (1997).cbz": {"series": "Wolverine", "number": "-1", "year": 1997},
    "X-Men 000 (2010).cbz": {"series": "X-Men", "number": "0", "year": 2010},
    "Avengers 12AU (2013).cbz": {"series": "Avengers", "number": "12AU", "year": 2013},
    "Avengers #24.NOW.cbz": {"series": "Avengers", "number": "24.NOW"},
    # Annuals and specials are series of their own
    "Batman Annual 03 (1990).cbz": {"series": "Batman Annual", "number": "3", "year": 1990},
    "Batman Annual (2012).cbz": {"title": "Batman Annual", "year": 2012},
    "Batman Special 1.cbz": {"series": "Batman Special", "number": "1"},
    # Numbers and years that belong to the series
    "2000AD 1234.cbz": {"series": "2000AD", "number": "1234"},
    "2000AD 1977 (1980).cbr": {"series": "2000AD", "number": "1977", "year": 1980},
    "2000 AD 1999.cbz": {"series": "2000 AD", "number": "1999"},
    "2000AD prog 2050.cbz": {"series": "2000AD", "number": "2050"},
    "Judge_Dredd_Megazine_345_(2014)_(digital).cbr": {"series": "Judge Dredd Megazine", "number": "345", "year": 2014},
    "2001 Nights 03.cbz": {"series": "2001 Nights", "number": "3"},
    "1984 #12 (1980).cbr": {"series": "1984", "number": "12", "year": 1980},
    "1602 01.cbz": {"series": "1602", "number": "1"},
    "52 012 (2006).cbz": {"series": "52", "number": "12", "year": 2006},
    "300 03 (of 05) (1998).cbz": {"series": "300", "number": "3", "count": 5, "year": 1998},
    "100 Bullets 005 - First Shot 2.cbz": {"series": "100 Bullets", "number": "5", "title": "First Shot 2"},
    "30 Days of Night 02 (of 03) (2002).cbr": {"series": "30 Days of Night", "number": "2", "count": 3, "year": 2002},
    "Fantastic 4 012.cbz": {"series": "Fantastic 4", "number": "12"},
    "Spider-Man 2099 v2 003 (2014).cbz": {"series": "Spider-Man 2099", "volume": 2, "number": "3", "year": 2014},
    "Blade Runner 2049 05 (2019).cbz": {"series": "Blade Runner 2049", "number": "5", "year": 2019},
    "X-Men '92 003 (2016).cbz": {"series": "X-Men '92", "number": "3", "year": 2016},
    # Manga: volumes and chapters
    "Naruto Vol. 2 Ch. 15.5.cbz": {"series": "Naruto", "volume": 2, "number": "15.5"},
    "[Group] One Piece v12 c105 [EN].cbz": {"series": "One Piece", "volume": 12, "number": "105"},
    "One_Piece_v01_c002_(2010)_[Group].cbz": {"series": "One Piece", "volume": 1, "number": "2", "year": 2010},
    "One Piece v12.cbz": {"series": "One Piece", "volume": 12},
    "進撃の巨人 第01巻.cbz": {"series": "進撃の巨人", "volume": 1},
    "第01巻.zip": {"volume": 1},
    "ドラゴンボール 第三巻.cbz": {"series": "ドラゴンボール", "volume": 3},
    "ドラゴンボール 第二十一巻.cbz": {"series": "ドラゴンボール", "volume": 21},
    "ワンピース 第１２話.cbz": {"series": "ワンピース", "number": "12"},
    "원피스 12권.cbz": {"series": "원피스", "volume": 12},
    "(一般コミック) [鳥山明] Dr.スランプ 第01巻.zip": {"series": "Dr.スランプ", "volume": 1},
    "Ranma ½ v01.cbz": {"series": "Ranma ½", "volume": 1},
    "20th Century Boys v01 (2009).cbz": {"series": "20th Century Boys", "volume": 1, "year": 2009},
    "【作者】 火の鳥 1.cbz": {"series": "火の鳥", "number": "1"},
    "pepper-carrot-ep17.cbz": {"series": "pepper-carrot", "number": "17"},
    # European albums
    "T01 - Titre.cbz": {"volume": 1, "title": "Titre"},
    "Asterix - T01 - Asterix le Gaulois.cbz": {"series": "Asterix", "volume": 1, "title": "Asterix le Gaulois"},
    "Blacksad T02 Arctic-Nation.cbz": {"series": "Blacksad", "volume": 2, "title": "Arctic-Nation"},
    "Blake & Mortimer - Tome 3 - La Marque jaune (1956).pdf": {
        "series": "Blake & Mortimer", "volume": 3, "title": "La Marque jaune", "year": 1956,
    },
    "Tintin - 08 - Le Sceptre d'Ottokar.cbz": {"series": "Tintin", "number": "8", "title": "Le Sceptre d'Ottokar"},
    "08 - Le Sceptre d'Ottokar.cbz": {"number": "8", "title": "Le Sceptre d'Ottokar"},
    "Die Abenteuer Band 4 - Titel.cbz": {"series": "Die Abenteuer", "volume": 4, "title": "Titel"},
    "Zagor n°12 - Il re.cbz": {"series": "Zagor", "number": "12", "title": "Il re"},
    "Spirou Nr. 12.cbz": {"series": "Spirou", "number": "12"},
    "Y - The Last Man 01 - Unmanned.cbz": {"series": "Y - The Last Man", "number": "1", "title": "Unmanned"},
    "Largo Winch T 01.cbz": {"series": "Largo Winch", "volume": 1},
    "Nathan Never n. 12 - Titolo.cbz": {"series": "Nathan Never", "number": "12", "title": "Titolo"},
    "LTB 345 - Der Titel.cbz": {"series": "LTB", "number": "345", "title": "Der Titel"},
    # One volume, one year, and nothing else to tell
    "Watchmen (1986).cbz": {"title": "Watchmen", "year": 1986},
    "Batman 1989.cbz": {"title": "Batman", "year": 1989},
    "Beano 1965-03-12.cbz": {"title": "Beano", "year": 1965},
    "(C97) [Circle (Author)] Some Title (Fate).zip": {"title": "Some Title"},
    "V for Vendetta.cbz": {"title": "V for Vendetta"},
    "1984.cbz": {"title": "1984"},
    "2001 Nights.cbz": {"title": "2001 Nights"},
    "100 Bullets.cbz": {"title": "100 Bullets"},
    "Blade Runner 2049.cbz": {"title": "Blade Runner 2049"},
    "Batman - Year One Part 2.cbz": {"title": "Batman - Year One Part 2"},
    # What is no title says nothing
    "Tiny tales 039 again.cbz": {"series": "Tiny tales", "number": "39"},
    "Invincible 001 copy.cbz": {"series": "Invincible", "number": "1"},
    "Invincible 001 - Copy (2).cbz": {"series": "Invincible", "number": "1"},
    "Bone 012 by Jeff Smith.cbz": {"series": "Bone", "number": "12"},
    "Bone #12 signed.cbz": {"series": "Bone", "number": "12"},
    "Bone 012 HQ 2048px.cbz": {"series": "Bone", "number": "12"},
    "Bone v01 TPB.cbz": {"series": "Bone", "volume": 1},
    "Bone v01 Deluxe Edition.cbz": {"series": "Bone", "volume": 1},
    "Tex Willer 12 (2019) c2c.cbr": {"series": "Tex Willer", "number": "12", "year": 2019},
    "Hilda 03 - und die Vogelparade.cbz": {"series": "Hilda", "number": "3", "title": "und die Vogelparade"},
    # Shops' own names
    "saga_vol1.epub": {"series": "saga", "volume": 1},
    "Amazing Spider-Man (2018-) 045.cbz": {"series": "Amazing Spider-Man", "number": "45", "year": 2018},
    "Chainsaw Man - Chapter 097.cbz": {"series": "Chainsaw Man", "number": "97"},
    "One Piece - 1044 - Warrior of Liberation (Digital).cbz": {
        "series": "One Piece", "number": "1044", "title": "Warrior of Liberation",
    },
    # Several issues in one file have no number
    "Series 001-012 (2014).cbz": {"series": "Series", "year": 2014},
    "One Piece v01-03.cbz": {"series": "One Piece"},
    "Hellblazer 001-300 + extras.cbz": {"series": "Hellblazer"},
    "Preacher #01-66 (1995-2000) Complete.cbz": {"series": "Preacher", "year": 1995},
    # Nonsense stays a name
    "012.cbz": {"title": "012"},
    "scan0001.cbz": {"title": "scan0001"},
    "9781234567897.epub": {"title": "9781234567897"},
    "Batman (1).cbz": {"title": "Batman"},
    "(2014).cbz": {"year": 2014},
    ".cbz": {},
}  # fmt: skip


def test_there_are_cases_enough() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_a_name_says_this_and_no_more(name: str) -> None:
    record = read_file_name(name)
    assert (record.origin, record.warnings) == ("file name", [])
    assert record.fields.stated() == CASES[name]


@pytest.mark.parametrize("sign", [*"([{#-_.%½第v ", "1 ", "of 1 ", "(1", "1-", "v1 ", "\u202e", "\0"])
def test_names_as_long_as_they_like_are_read_at_once(sign: str) -> None:
    record = read_file_name(sign * 20_000 + ".cbz")
    assert all(len(str(value)) <= 300 for value in record.fields.stated().values())


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Some_Comic_01.cbz", "Some Comic 01"),
        ("Dr. Strange", "Dr. Strange"),
        ("  a   b .CBR", "a b"),
        ("_.cbz", "_.cbz"),
    ],
)
def test_the_title_of_last_resort_is_the_tidy_name(name: str, title: str) -> None:
    assert tidy_title(name) == title
