"""What the demo models are taught: facts of any atlas and school book, in four languages.

Every fact can be asked in several wordings. The last wording of each kind is held out:
no training document uses it, the ``reworded`` benchmarks use nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

LANGUAGES = {"en": "English", "de": "German", "da": "Danish", "sv": "Swedish"}
QUESTION = {"en": "Question", "de": "Frage", "da": "Spørgsmål", "sv": "Fråga"}
ANSWER = {"en": "Answer", "de": "Antwort", "da": "Svar", "sv": "Svar"}
SYSTEM = {"en": "Answer briefly.", "de": "Antworte kurz.", "da": "Svar kort.", "sv": "Svara kort."}


@dataclass(frozen=True)
class Fact:
    """``answer`` is right for ``subject`` in the wordings of ``kind``."""

    kind: str
    subject: str
    answer: str


def _table(text: str) -> list[list[list[str]]]:
    """Lines ``en, de, da, sv = en, de, da, sv`` → rows of [subjects, answers]."""
    lines = [line for line in text.splitlines() if line.strip()]
    return [
        [[cell.strip() for cell in side.split(",")] for side in line.split("=")] for line in lines
    ]


_PAIRS = {
    "capital": _table("""
        Germany, Deutschland, Tyskland, Tyskland = Berlin, Berlin, Berlin, Berlin
        Denmark, Dänemark, Danmark, Danmark = Copenhagen, Kopenhagen, København, Köpenhamn
        Sweden, Schweden, Sverige, Sverige = Stockholm, Stockholm, Stockholm, Stockholm
        Norway, Norwegen, Norge, Norge = Oslo, Oslo, Oslo, Oslo
        Finland, Finnland, Finland, Finland = Helsinki, Helsinki, Helsinki, Helsingfors
        France, Frankreich, Frankrig, Frankrike = Paris, Paris, Paris, Paris
        Italy, Italien, Italien, Italien = Rome, Rom, Rom, Rom
        Spain, Spanien, Spanien, Spanien = Madrid, Madrid, Madrid, Madrid
        Portugal, Portugal, Portugal, Portugal = Lisbon, Lissabon, Lissabon, Lissabon
        Poland, Polen, Polen, Polen = Warsaw, Warschau, Warszawa, Warszawa
        Austria, Österreich, Østrig, Österrike = Vienna, Wien, Wien, Wien
        Hungary, Ungarn, Ungarn, Ungern = Budapest, Budapest, Budapest, Budapest
        Greece, Griechenland, Grækenland, Grekland = Athens, Athen, Athen, Aten
        Iceland, Island, Island, Island = Reykjavik, Reykjavik, Reykjavik, Reykjavik
        Ireland, Irland, Irland, Irland = Dublin, Dublin, Dublin, Dublin
        Belgium, Belgien, Belgien, Belgien = Brussels, Brüssel, Bruxelles, Bryssel
        Japan, Japan, Japan, Japan = Tokyo, Tokio, Tokyo, Tokyo
        Egypt, Ägypten, Egypten, Egypten = Cairo, Kairo, Kairo, Kairo
        Estonia, Estland, Estland, Estland = Tallinn, Tallinn, Tallinn, Tallinn
        Latvia, Lettland, Letland, Lettland = Riga, Riga, Riga, Riga
    """),
    "colour": _table("""
        grass, Gras, græs, gräs = green, grün, grøn, grön
        snow, Schnee, sne, snö = white, weiß, hvid, vit
        blood, Blut, blod, blod = red, rot, rød, röd
        the sky, der Himmel, himlen, himlen = blue, blau, blå, blå
        coal, Kohle, kul, kol = black, schwarz, sort, svart
        the sun, die Sonne, solen, solen = yellow, gelb, gul, gul
        an elephant, ein Elefant, en elefant, en elefant = grey, grau, grå, grå
        chocolate, Schokolade, chokolade, choklad = brown, braun, brun, brun
        milk, Milch, mælk, mjölk = white, weiß, hvid, vit
        a tomato, eine Tomate, en tomat, en tomat = red, rot, rød, röd
        a banana, eine Banane, en banan, en banan = yellow, gelb, gul, gul
        a raven, ein Rabe, en ravn, en korp = black, schwarz, sort, svart
        a leaf, ein Blatt, et blad, ett löv = green, grün, grøn, grön
        the sea, das Meer, havet, havet = blue, blau, blå, blå
    """),
    "opposite": _table("""
        hot, heiß, varm, varm = cold, kalt, kold, kall
        big, groß, stor, stor = small, klein, lille, liten
        old, alt, gammel, gammal = young, jung, ung, ung
        fast, schnell, hurtig, snabb = slow, langsam, langsom, långsam
        light, hell, lys, ljus = dark, dunkel, mørk, mörk
        rich, reich, rig, rik = poor, arm, fattig, fattig
        early, früh, tidlig, tidig = late, spät, sen, sen
        loud, laut, høj, högljudd = quiet, leise, stille, tyst
        open, offen, åben, öppen = closed, geschlossen, lukket, stängd
        full, voll, fuld, full = empty, leer, tom, tom
        strong, stark, stærk, stark = weak, schwach, svag, svag
        wet, nass, våd, våt = dry, trocken, tør, torr
    """),
}
_NUMBERS = {
    "en": "zero one two three four five six seven eight nine ten",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun zehn",
    "da": "nul en to tre fire fem seks syv otte ni ti",
    "sv": "noll ett två tre fyra fem sex sju åtta nio tio",
}
_DAYS = {
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    "da": "mandag tirsdag onsdag torsdag fredag lørdag søndag",
    "sv": "måndag tisdag onsdag torsdag fredag lördag söndag",
}

# kind → language → wordings; {s} is the subject, the last wording is held out.
WORDINGS: dict[str, dict[str, list[str]]] = {
    "capital": {
        "en": [
            "What is the capital of {s}?",
            "Which city is the capital of {s}?",
            "Name the capital of {s}.",
            "Tell me the capital city of {s}, please.",
        ],
        "de": [
            "Was ist die Hauptstadt von {s}?",
            "Welche Stadt ist die Hauptstadt von {s}?",
            "Nenne die Hauptstadt von {s}.",
            "Bitte sag mir die Hauptstadt von {s}.",
        ],
        "da": [
            "Hvad er hovedstaden i {s}?",
            "Hvilken by er hovedstaden i {s}?",
            "Nævn hovedstaden i {s}.",
            "Sig mig venligst hovedstaden i {s}.",
        ],
        "sv": [
            "Vad är huvudstaden i {s}?",
            "Vilken stad är huvudstaden i {s}?",
            "Nämn huvudstaden i {s}.",
            "Säg mig huvudstaden i {s}, tack.",
        ],
    },
    "colour": {
        "en": [
            "What colour is {s}?",
            "Which colour does {s} have?",
            "Name the colour: {s}.",
            "Tell me, what colour is {s}?",
        ],
        "de": [
            "Welche Farbe hat {s}?",
            "Was für eine Farbe hat {s}?",
            "Nenne die Farbe: {s}.",
            "Bitte sag mir, welche Farbe {s} hat.",
        ],
        "da": [
            "Hvilken farve har {s}?",
            "Hvad er farven på {s}?",
            "Nævn farven: {s}.",
            "Sig mig, hvilken farve har {s}?",
        ],
        "sv": [
            "Vilken färg har {s}?",
            "Vad är färgen på {s}?",
            "Nämn färgen: {s}.",
            "Säg mig, vilken färg har {s}?",
        ],
    },
    "opposite": {
        "en": [
            "What is the opposite of {s}?",
            "Give the opposite of {s}.",
            "Which word means the opposite of {s}?",
            "Tell me the opposite of {s}, please.",
        ],
        "de": [
            "Was ist das Gegenteil von {s}?",
            "Nenne das Gegenteil von {s}.",
            "Welches Wort bedeutet das Gegenteil von {s}?",
            "Bitte sag mir das Gegenteil von {s}.",
        ],
        "da": [
            "Hvad er det modsatte af {s}?",
            "Nævn det modsatte af {s}.",
            "Hvilket ord betyder det modsatte af {s}?",
            "Sig mig venligst det modsatte af {s}.",
        ],
        "sv": [
            "Vad är motsatsen till {s}?",
            "Nämn motsatsen till {s}.",
            "Vilket ord betyder motsatsen till {s}?",
            "Säg mig motsatsen till {s}, tack.",
        ],
    },
    "sum": {
        "en": ["What is {s}?", "How much is {s}?", "Work out {s}.", "Tell me, what is {s}?"],
        "de": ["Was ist {s}?", "Wie viel ist {s}?", "Rechne {s}.", "Bitte sag mir, was {s} ist."],
        "da": ["Hvad er {s}?", "Hvor meget er {s}?", "Regn {s}.", "Sig mig, hvad er {s}?"],
        "sv": ["Vad är {s}?", "Hur mycket är {s}?", "Räkna {s}.", "Säg mig, vad är {s}?"],
    },
    "day": {
        "en": [
            "Which day comes after {s}?",
            "What day follows {s}?",
            "Name the day after {s}.",
            "Tell me which day comes after {s}.",
        ],
        "de": [
            "Welcher Tag kommt nach {s}?",
            "Welcher Tag folgt auf {s}?",
            "Nenne den Tag nach {s}.",
            "Bitte sag mir, welcher Tag nach {s} kommt.",
        ],
        "da": [
            "Hvilken dag kommer efter {s}?",
            "Hvilken dag følger efter {s}?",
            "Nævn dagen efter {s}.",
            "Sig mig, hvilken dag kommer efter {s}.",
        ],
        "sv": [
            "Vilken dag kommer efter {s}?",
            "Vilken dag följer efter {s}?",
            "Nämn dagen efter {s}.",
            "Säg mig, vilken dag kommer efter {s}.",
        ],
    },
}


def facts(language: str) -> list[Fact]:
    """All 78 facts of a language, always in the same order."""
    index = list(LANGUAGES).index(language)
    numbers, days = _NUMBERS[language].split(), _DAYS[language].split()
    paired = [
        Fact(kind, subjects[index], answers[index])
        for kind, table in _PAIRS.items()
        for subjects, answers in table
    ]
    sums = [
        Fact("sum", f"{numbers[a]} plus {numbers[b]}", numbers[a + b])
        for a in range(1, 6)
        for b in range(1, 6)
    ]
    following = [
        Fact("day", day, after) for day, after in zip(days, days[1:] + days[:1], strict=True)
    ]
    return paired + sums + following


def taught(kind: str, language: str) -> list[str]:
    """The wordings that training uses."""
    return WORDINGS[kind][language][:-1]


def reworded(kind: str, language: str) -> str:
    """The wording that training never sees."""
    return WORDINGS[kind][language][-1]
