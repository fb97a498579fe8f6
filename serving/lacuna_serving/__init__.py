"""Lacuna's network in JAX behind the Open Inference Protocol: see README.md."""
