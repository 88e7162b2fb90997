"""``python -m dtmf_shield``: the same as the ``dtmf-shield`` command."""

from dtmf_shield.cli.main import main

if __name__ == "__main__":
    main()
