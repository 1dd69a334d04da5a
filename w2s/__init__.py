"""Weak-to-Strong Generalization (Burns et al., 2023, arXiv 2312.09390), rebuilt by one command."""
