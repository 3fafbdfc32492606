"""Measurements. Each is one command; what it prints names what it measured."""
