"""One stand-in for each kind of server: exactly what makes it different from the others."""

from __future__ import annotations

from ..stub import Stub
from .generic import Generic
from .lightllm import LightLLM
from .llama_cpp import LlamaCpp
from .llama_cpp_python import LlamaCppPython
from .mlx_lm import MlxLm
from .nim import Nim
from .ollama import Ollama
from .openai_trtllm import OpenaiTrtllm
from .tabbyapi import TabbyApi
from .tgi import Tgi
from .transformers_serve import TransformersServe
from .trtllm_serve import TrtllmServe
from .vllm import Vllm

SERVERS: dict[str, type[Stub]] = {
    "generic": Generic,
    "vllm": Vllm,
    "nim": Nim,
    "tgi": Tgi,
    "llama.cpp": LlamaCpp,
    "llama-cpp-python": LlamaCppPython,
    "ollama": Ollama,
    "tabbyapi": TabbyApi,
    "lightllm": LightLLM,
    "openai_trtllm": OpenaiTrtllm,
    "trtllm-serve": TrtllmServe,
    "mlx_lm": MlxLm,
    "transformers": TransformersServe,
}
