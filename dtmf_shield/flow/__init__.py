"""The IVR flow language and its engine. White and sans-IO: no digit, clock, socket or log."""
