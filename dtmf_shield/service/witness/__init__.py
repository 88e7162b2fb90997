"""Witnesses of what a side of a synthetic call received: independent detectors, an attacker, and its spectrum.

They share nothing with the product's detector. For the demonstration, the play phones and tests; no live call's audio.
"""
