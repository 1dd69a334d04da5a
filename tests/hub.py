"""Hugging Face repositories made on the spot: small real checkpoints, a cache filled beforehand, a hub that answers.

Nothing is imitated but the weights' quality: tokenizers are trained here, checkpoints are what `save_pretrained`
writes, the cache is laid out as a download leaves it, and the hub is an HTTP server for the real client.
"""

import hashlib
import json
import os
import re
import shutil
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Literal
from urllib.parse import unquote

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    BertConfig,
    GPT2Config,
    LlamaConfig,
    PretrainedConfig,
    Qwen3Config,
)

Kind = Literal["model", "dataset"]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
VOCABULARY = 600  # 256 bytes, special tokens and some merges
CORPUS = (Path(__file__).parent / "corpus.txt").read_text().splitlines()  # for tokenizers of real sizes


# Checkpoints


def gpt2(folder: Path, texts: Sequence[str], hidden: int = 32, layers: int = 2, seed: int = 0) -> Path:
    """GPT-2: byte-level BPE, no token in front, no padding token, learned positions, tied embeddings."""
    tokenizer = _byte_level(texts, ["<|endoftext|>"])
    config = GPT2Config(n_embd=hidden, n_layer=layers, n_head=2, n_positions=256, **_shape(tokenizer, "<|endoftext|>"))
    settings = {"model_max_length": 256}  # as in the real repository: the class follows from config.json
    return _save(folder, tokenizer, settings, AutoModelForCausalLM, config, seed)


def llama(folder: Path, texts: Sequence[str], hidden: int = 32, layers: int = 2, seed: int = 0) -> Path:
    """Llama: BPE over words marked by ▁ that falls back to bytes, `<s>` in front, no padding token."""
    tokenizer = _byte_fallback(texts)
    config = LlamaConfig(**_sizes(hidden, layers, heads=4), num_key_value_heads=2, **_shape(tokenizer, "<s>", "</s>"))
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "model_max_length": 256}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **names}
    return _save(folder, tokenizer, settings, AutoModelForCausalLM, config, seed)


def qwen3(folder: Path, texts: Sequence[str], hidden: int = 32, layers: int = 2, seed: int = 0) -> Path:
    """Qwen3: byte-level BPE, no token in front, a padding token, normalised queries and keys, tied embeddings."""
    tokenizer = _byte_level(texts, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    config = Qwen3Config(
        **_sizes(hidden, layers, heads=4),
        num_key_value_heads=2,
        head_dim=8,
        tie_word_embeddings=True,
        **_shape(tokenizer, "<|endoftext|>"),
    )
    names = {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "model_max_length": 256}
    settings = {"tokenizer_class": "Qwen2Tokenizer", **names}
    return _save(folder, tokenizer, settings, AutoModelForCausalLM, config, seed)


def bert(folder: Path, texts: Sequence[str], hidden: int = 32, layers: int = 2, seed: int = 0) -> Path:
    """BERT: lower-case WordPiece between [CLS] and [SEP], both directions; the checkpoint has no pooler."""
    tokenizer = _word_piece(texts)
    config = BertConfig(
        **_sizes(hidden, layers, heads=2),
        vocab_size=tokenizer.get_vocab_size(),
        pad_token_id=tokenizer.token_to_id("[PAD]"),
    )
    settings = {"do_lower_case": True, "model_max_length": 256}
    return _save(folder, tokenizer, settings, AutoModelForMaskedLM, config, seed)


ARCHITECTURES: dict[str, Callable[..., Path]] = {"gpt2": gpt2, "llama": llama, "qwen3": qwen3, "bert": bert}


def _byte_level(texts: Sequence[str], special: list[str]) -> Tokenizer:
    """Special tokens come last, as in the real ones: token 0 is `!`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY - len(special), initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(special)
    return tokenizer


def _byte_fallback(texts: Sequence[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    special, single = ["<unk>", "<s>", "</s>"], [f"<0x{byte:02X}>" for byte in range(256)]
    # Yes and No are tokens of their own in every real vocabulary: of words this frequent they become so here.
    tokenizer.train_from_iterator(
        [*texts, *["x Yes", "x No"] * 99],
        trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special + single, show_progress=False),
    )
    written = json.loads(tokenizer.to_str())  # bytes are ordinary tokens: none is looked for in a text
    written["added_tokens"] = [token for token in written["added_tokens"] if token["content"] in special]
    tokenizer = Tokenizer.from_str(json.dumps(written))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def _word_piece(texts: Sequence[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def _sizes(hidden: int, layers: int, heads: int) -> dict[str, int]:
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads}
    return sizes | {"intermediate_size": 2 * hidden, "max_position_embeddings": 256}


def _shape(tokenizer: Tokenizer, first: str, last: str | None = None) -> dict[str, Any]:
    ids = {"bos_token_id": tokenizer.token_to_id(first), "eos_token_id": tokenizer.token_to_id(last or first)}
    return {"vocab_size": tokenizer.get_vocab_size(), **ids}


def _save(
    folder: Path, tokenizer: Tokenizer, settings: dict[str, Any], head: Any, config: PretrainedConfig, seed: int
) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        head.from_config(config).save_pretrained(folder)  # makes the folder, as `model.safetensors` and config.json
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


# A cache filled beforehand


def prefill(
    cache: Path, repository: str, commit: str, folder: Path, kind: Kind = "model", branch: str = "main"
) -> Path:
    """Lay a folder into a hub cache as a download leaves it: blobs, links to them, and what `branch` meant."""
    place = cache / f"{kind}s--{repository.replace('/', '--')}"
    snapshot = place / "snapshots" / commit
    for path in _files(folder):
        link, blob = snapshot / path.relative_to(folder), place / "blobs" / _sha256(path)
        for made in (link, blob):
            made.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, blob)
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    reference = place / "refs" / branch
    reference.parent.mkdir(parents=True, exist_ok=True)
    reference.write_text(commit)
    return snapshot


# A hub


@dataclass
class Repository:
    """What the hub keeps under one name."""

    folder: Path
    commit: str = COMMIT
    kind: Kind = "model"
    branches: Sequence[str] = ("main",)
    gated: bool = False  # anyone may list its files; only `MEMBER` may have them
    broken: bool = False  # the connection breaks off amid every file


@dataclass
class Hub:
    """A hub at work: where it is, what it keeps, and what it was asked for."""

    endpoint: str
    repositories: dict[str, Repository]
    asked: list[str] = field(default_factory=list)


MEMBER, STRANGER = "hf_member", "hf_stranger"  # tokens of two users, of whom one accepted the terms of everything
ADDRESS = re.compile(
    r"/(?:api/)?(?:(?:models|(?P<datasets>datasets))/)?(?P<name>[^/]+/[^/]+)"
    r"(?:/(?P<what>revision|tree|resolve)/(?P<revision>[^/?]+)(?:/(?P<file>[^?]+))?)?(?:\?.*)?"
)


@contextmanager
def serving(repositories: dict[str, Repository]) -> Iterator[Hub]:
    """Run a hub on this machine, by name (`owner/name`), for a client whose `HF_ENDPOINT` is its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    hub = Hub(f"http://127.0.0.1:{server.server_port}", repositories)
    server.hub = hub  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers as huggingface.co does: the same paths, JSON, status codes and headers."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub: Hub = self.server.hub  # type: ignore[attr-defined]
        hub.asked.append(f"{self.command} {self.path}")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in ("", MEMBER, STRANGER):
            return self._refuse(401, None, "Invalid credentials in Authorization header")
        if self.path.startswith("/cdn/"):
            stored = (path for repository in hub.repositories.values() for path in _files(repository.folder))
            return self._send(next(path for path in stored if _sha256(path) == Path(self.path).name), {})
        parts = ADDRESS.fullmatch(self.path)
        revision = unquote((parts and parts["revision"]) or "main")
        repository = hub.repositories.get(parts["name"]) if parts else None
        if not parts or not repository or repository.kind != ("dataset" if parts["datasets"] else "model"):
            return self._refuse(404 if token else 401, "RepoNotFound", "Repository not found")
        if revision not in (*repository.branches, repository.commit):
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if parts["what"] == "tree":
            return self._json([_entry(repository.folder, path) for path in _files(repository.folder)])
        if parts["what"] != "resolve":
            gated = "manual" if repository.gated else False
            return self._json({"id": parts["name"], "sha": repository.commit, "gated": gated, "private": False})
        path = repository.folder / unquote(parts["file"])
        if repository.gated and token != MEMBER:
            return self._refuse(403 if token else 401, "GatedRepo", "Access to this repository is restricted")
        if not path.is_file():
            return self._refuse(404, "EntryNotFound", "Entry not found")
        commit = {"X-Repo-Commit": repository.commit}
        if repository.broken and self.command == "GET":
            return self._break_off(path)
        if path.suffix == ".safetensors":  # large files come from elsewhere
            linked = {"X-Linked-Etag": f'"{_sha256(path)}"', "X-Linked-Size": str(path.stat().st_size)}
            elsewhere = hub.endpoint.replace("127.0.0.1", "localhost")
            return self._reply(302, b"", commit | linked | {"Location": f"{elsewhere}/cdn/{_sha256(path)}"})
        return self._send(path, commit)

    def _send(self, path: Path, headers: dict[str, str]) -> None:
        self._reply(200, path.read_bytes(), {"ETag": f'"{_sha256(path)}"', "Accept-Ranges": "bytes"} | headers)

    def _json(self, content: object) -> None:
        self._reply(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str | None, message: str) -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self._reply(status, json.dumps({"error": message}).encode(), headers | {"Content-Type": "application/json"})

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _break_off(self, path: Path) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(path.stat().st_size))
        self.end_headers()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, no farewell
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _entry(folder: Path, path: Path) -> dict[str, object]:
    entry: dict[str, object] = {
        "type": "file",
        "path": str(path.relative_to(folder)),
        "size": path.stat().st_size,
        "oid": _git(path),
    }
    if path.suffix == ".safetensors":
        entry["lfs"] = {"oid": _sha256(path), "size": path.stat().st_size, "pointerSize": 134}
    return entry


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _git(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
