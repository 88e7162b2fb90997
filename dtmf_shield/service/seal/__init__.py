"""The seal of the cde process: what it gives up, one file for each kind, in the order that works.

``process_rights`` (prctl, rlimits) before anything is opened; then the process opens what it needs; then ``doors``
(Landlock, seccomp) for ever. A kernel that lacks a step makes the seal weaker, never silently: each step has a result.
"""
