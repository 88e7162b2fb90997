"""Speech engines as separate processes, at build time only: none is imported, none runs while calls are up.

``recorded`` reads a person's WAV files and comes before all of them. piper (GPL, optional) is a neural voice, flite a
plain English one, espeak-ng speaks every language with a draft voice.
"""
