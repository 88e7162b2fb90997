"""A call's two legs, packet by packet: pure kernels on the tables of `legs`, tested without a socket.

A packet in gives masked packets out for the other leg, keys into their slot and event records; no clock is read and
nothing is allocated.
"""
