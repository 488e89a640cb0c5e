"""The European languages, what each benchmark family has for them, and their prompt words."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """What a prompt calls its parts."""

    question: str
    answer: str
    choices: str
    text: str


# The languages that the machine-translated ARC, MMLU, HellaSwag and TruthfulQA have.
TRANSLATED = (
    "ca", "da", "de", "es", "eu", "fr", "hr", "hu", "hy", "it", "nl", "pt", "ro", "ru", "sk",
    "sr", "sv", "uk",
)  # fmt: skip
# Belebele names a language by its ISO 639-3 code and script.
BELEBELE = {
    "bg": "bul_Cyrl", "ca": "cat_Latn", "cs": "ces_Latn", "da": "dan_Latn", "de": "deu_Latn",
    "el": "ell_Grek", "en": "eng_Latn", "es": "spa_Latn", "et": "est_Latn", "eu": "eus_Latn",
    "fi": "fin_Latn", "fr": "fra_Latn", "gl": "glg_Latn", "hr": "hrv_Latn", "hu": "hun_Latn",
    "hy": "hye_Armn", "is": "isl_Latn", "it": "ita_Latn", "lt": "lit_Latn", "lv": "lvs_Latn",
    "mt": "mlt_Latn", "nb": "nob_Latn", "nl": "nld_Latn", "pl": "pol_Latn", "pt": "por_Latn",
    "ro": "ron_Latn", "ru": "rus_Cyrl", "sk": "slk_Latn", "sl": "slv_Latn", "sr": "srp_Cyrl",
    "sv": "swe_Latn", "uk": "ukr_Cyrl",
}  # fmt: skip
ENGLISH = Words("Question", "Answer", "Choices", "Text")
NATIVE = {
    "da": Words("Spørgsmål", "Svar", "Svarmuligheder", "Tekst"),
    "de": Words("Frage", "Antwort", "Antwortmöglichkeiten", "Text"),
    "en": ENGLISH,
    "es": Words("Pregunta", "Respuesta", "Opciones", "Texto"),
    "fi": Words("Kysymys", "Vastaus", "Vastausvaihtoehdot", "Teksti"),
    "fr": Words("Question", "Réponse", "Choix", "Texte"),
    "it": Words("Domanda", "Risposta", "Opzioni", "Testo"),
    "nb": Words("Spørsmål", "Svar", "Svaralternativer", "Tekst"),
    "nl": Words("Vraag", "Antwoord", "Antwoordmogelijkheden", "Tekst"),
    "pl": Words("Pytanie", "Odpowiedź", "Możliwe odpowiedzi", "Tekst"),
    "pt": Words("Pergunta", "Resposta", "Opções", "Texto"),
    "sv": Words("Fråga", "Svar", "Svarsalternativ", "Text"),
}
