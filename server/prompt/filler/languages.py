"""Which of the languages of the table a text is in: by its script where that settles it, else by a detector."""

import unicodedata
from collections.abc import Iterable, Mapping
from functools import cached_property
from threading import Lock
from typing import Any

from server.prompt.filler.scripts import Script, script_of

# Of all that is shared out among the languages in question. Below, a text could be in several: "OK, Mumbai". In a
# script that the last resort is not written in, the likeliest of its languages is better than that.
_CERTAIN = 0.4
LAST_RESORT = "en"
_READ = 1000  # characters at the end of a text

# Characters that are written in one of the two ways alone, among the most frequent ones.
_SIMPLIFIED = frozenset("们个这来国时说会对没吗请问帮网电话为么现后还开关门见钱银行车里东长发订单")
_TRADITIONAL = frozenset("們個這來國時說會對沒嗎請問幫網電話為麼現後還開關門見錢銀車裡東長發訂單") - _SIMPLIFIED


class Languages:
    """Tells languages apart. Thread-safe; the detector's model is loaded (0.8 s, 90 MB) when first asked for.

    scripts: the script that each language is written in here.
    """

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        self._scripts = scripts
        self._loading = Lock()

    def of(self, texts: Iterable[str]) -> str | None:
        """The language of the first text that lets it be told."""
        return next((found for text in texts if (found := self._of_one(text[-_READ:]))), None)

    def load(self) -> None:
        """Ahead of the first caller."""
        with self._loading:
            _ = self._detector

    def _of_one(self, text: str) -> str | None:
        script = script_of([text])
        candidates = [language for language, written in self._scripts.items() if written == script]
        if len(candidates) < 2:
            return next(iter(candidates), None)
        if "zh-CN" in candidates:
            return _chinese(text)
        return self._detected(text, candidates)

    def _detected(self, text: str, candidates: list[str]) -> str | None:
        self.load()
        scores = {language: score for language, score in self._detector.rank(_folded(text)) if language in candidates}
        best = max(scores, key=lambda language: scores[language])
        doubtful = LAST_RESORT in candidates and scores[best] < _CERTAIN * sum(scores.values())
        return None if doubtful else best

    @cached_property
    def _detector(self) -> Any:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        detector = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        detector.set_languages(sorted({language.split("-")[0] for language in self._scripts}))
        return detector


def _chinese(text: str) -> str:
    simple, traditional = (sum(character in some for character in text) for some in (_SIMPLIFIED, _TRADITIONAL))
    return "zh-TW" if traditional > simple else "zh-CN"


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).lower()
