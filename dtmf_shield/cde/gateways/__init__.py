"""Connectors to payment gateways: one file each, made of base.py alone, and the one way that sends."""
