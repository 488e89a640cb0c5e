"""Tasks whose files lm-eval ships as wanted: named here, loaded from the installed package."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple


class ReferenceFamily(NamedTuple):
    """``files`` has the file of each language below lm-eval's folder of tasks."""

    name: str
    repo: str
    metric: str
    scoring: str
    files: dict[str, str]


class Reference(NamedTuple):
    """One of lm-eval's own tasks."""

    family: ReferenceFamily
    language: str
    wording: str = "upstream"

    @property
    def name(self) -> str:
        return f"euro_{self.family.name}_{self.language}_{self.wording}"

    @property
    def file(self) -> Path:
        return shipped() / self.family.files[self.language]

    @property
    def upstream(self) -> str:
        """The name that lm-eval knows it by: that of its file, nearly."""
        stem = Path(self.family.files[self.language]).stem
        stem = stem.replace("lambada_mt_", "lambada_openai_mt_")
        return stem.replace("default_", f"{self.family.name}_")

    @property
    def in_portal(self) -> bool:
        """Whether the portal can ask it: a context of its own for each choice it cannot, nor
        one continuation without a choice."""
        return self.family.name not in ("xwinograd", "lambada")

    @property
    def metric(self) -> str:
        return self.family.metric

    @property
    def scoring(self) -> str:
        return self.family.scoring

    @property
    def repo(self) -> str:
        return ELSEWHERE.get(self.upstream, self.family.repo)


def _each(pattern: str, languages: str, **others: str) -> dict[str, str]:
    return {code: pattern.format(code) for code in languages.split()} | others


REFERENCES = {
    family.name: family
    for family in (
        ReferenceFamily(
            "mgsm_direct", "juletxara/mgsm", "exact_match", "generate",
            _each("mgsm/direct/mgsm_direct_{}.yaml", "de en es fr ru",
                  ca="catalan_bench/mgsm_direct_ca.yaml",
                  eu="basque_bench/mgsm_direct_eu.yaml",
                  gl="galician_bench/mgsm_direct_gl.yaml"),
        ),
        ReferenceFamily(
            "mgsm_native_cot", "juletxara/mgsm", "exact_match", "generate",
            _each("mgsm/native_cot/mgsm_native_cot_{}.yaml", "de en es fr ru"),
        ),
        ReferenceFamily(
            "xnli", "facebook/xnli", "acc", "options",
            # Of Catalan and Galician, here and below, lm-eval's files need transformers.
            _each("xnli/xnli_{}.yaml", "bg de el en es fr ru", eu="xnli_eu/xnli_eu.yaml"),
        ),
        ReferenceFamily(
            "paws", "google-research-datasets/paws-x", "acc", "options",
            _each("paws-x/paws_{}.yaml", "de en es fr", eu="basque_bench/paws_eu.yaml"),
        ),
        ReferenceFamily(
            "xcopa", "cambridgeltl/xcopa", "acc", "options",
            _each("xcopa/default_{}.yaml", "et it", eu="basque_bench/xcopa_eu.yaml"),
        ),
        ReferenceFamily(
            "xstorycloze", "juletxara/xstory_cloze", "acc", "options",
            _each("xstorycloze/default_{}.yaml", "en es eu ru",
                  ca="catalan_bench/xstorycloze_ca.yaml",
                  gl="galician_bench/xstorycloze_gl.yaml"),
        ),
        ReferenceFamily(
            "xwinograd", "Muennighoff/xwinograd", "acc", "options",
            _each("xwinograd/xwinograd_{}.yaml", "en fr pt ru"),
        ),
        ReferenceFamily(
            "lambada", "EleutherAI/lambada_openai", "acc", "options",
            _each("lambada_multilingual/lambada_mt_{}.yaml", "de en es fr it"),
        ),
        ReferenceFamily(
            "gsm8k", "openai/gsm8k", "exact_match", "generate",
            {"en": "gsm8k/gsm8k.yaml"},
        ),
    )
}  # fmt: skip
# Languages that came later have their rows elsewhere.
ELSEWHERE = {
    "mgsm_direct_ca": "projecte-aina/mgsm_ca", "mgsm_direct_eu": "HiTZ/MGSM-eu",
    "mgsm_direct_gl": "proxectonos/mgsm_gl", "paws_eu": "HiTZ/PAWS-eu",
    "xcopa_eu": "HiTZ/XCOPA-eu", "xnli_eu": "HiTZ/xnli-eu",
    "xstorycloze_ca": "projecte-aina/xstorycloze_ca",
    "xstorycloze_gl": "proxectonos/xstorycloze_gl",
}  # fmt: skip


@cache
def shipped() -> Path:
    """lm-eval's folder of tasks, found without importing it."""
    spec = find_spec("lm_eval")
    assert spec is not None and spec.origin is not None  # the portal requires it
    return Path(spec.origin).parent / "tasks"


def references() -> list[Reference]:
    """All of them, by family and language."""
    return [
        Reference(family, language)
        for family in REFERENCES.values()
        for language in sorted(family.files)
    ]
