"""The workbench: a sealed process of its own that reads, draws and simulates the flow texts people are writing.

What a browser sends is parsed there and never in control, and the simulation needs the capture machine, which control
may not load. ``messages`` is what the two say to each other; ``process`` is the workbench itself.
"""
