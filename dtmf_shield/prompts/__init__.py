"""Prompts: recorded pieces made beforehand, and the rules that join values from them. White; no digit of a card.

Two halves that never meet while a call is up:

- **Build time** (``dtmf-shield prompts build``): ``wanted`` lists what is to be said, ``engines`` say it as separate
  processes, ``sound`` shapes it, ``build`` and ``store_writer`` keep it. Whether our detector hears a key in a piece is
  asked by service.
- **Call time**: ``spoken`` and ``grammar`` turn what a flow says into names of pieces, ``store`` finds their packets.
  No engine can be reached from there, which an import contract checks.

The seam with the flow language (``model/prompt.py`` has the words):

- a flow's text is split at its ``{values}``: each literal part is the piece ``names.literal_name(text)``, a hash of the
  text, so that the same sentence is one recording wherever it is written;
- a recording (``play: hold.wav``) is the piece ``names.recording_name(file)``;
- a value is joined at call time: ``grammar.pieces_for(MoneyValue(1250, "GBP"), "en-GB")`` gives ``n-12 gbp-many and
  n-50 penny-many``; ``spoken.value_of`` makes such a value of a flow's text, ``spoken.spoken_pieces`` does all at once;
- ``store.PromptStore.language(tag).packets(name, form)`` gives the ready packets, or MissingPieceError with language
  and piece.
"""
