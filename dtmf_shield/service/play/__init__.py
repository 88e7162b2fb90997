"""The play phones: a caller and an agent's phone for one who tries the service or trains others. TEST cards only.

A process of its own beside the service, on loopback, only while card data goes to the embedded TEST gateway. It takes
keys from a page, so it is no part of `control`, which can name no digit: the page's script sends each key here, over
an origin of its own. It places real calls to the service by SIP with the project's scripted phone, keeps no key, and
writes no log.
"""
