"""Automatic precision follows the hardware's capability."""

import pytest
import torch

from w2s.models import hardware


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx512_bf16": False}, "fp32"), ({}, "fp32")],
)
def test_automatic_precision_of_a_cpu_is_its_capability(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], precision: str
) -> None:
    monkeypatch.setattr(hardware, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    hardware.has_bf16_units.cache_clear()
    try:
        assert hardware.precision("auto") == precision
        assert (hardware.precision("bf16"), hardware.precision("fp32")) == ("bf16", "fp32")
    finally:
        hardware.has_bf16_units.cache_clear()


@pytest.mark.parametrize(("major", "precision"), [(7, "fp32"), (8, "bf16"), (9, "bf16")])
def test_automatic_precision_of_a_gpu_is_its_compute_capability(
    monkeypatch: pytest.MonkeyPatch, major: int, precision: str
) -> None:
    properties = type("Properties", (), {"major": major})
    monkeypatch.setattr(hardware, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    hardware.has_bf16_units.cache_clear()
    try:
        assert hardware.precision("auto") == precision
    finally:
        hardware.has_bf16_units.cache_clear()
