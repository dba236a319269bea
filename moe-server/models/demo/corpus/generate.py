"""Prints conversations as JSON lines: `python generate.py --seed 1 --conversations 1000`."""

import argparse
import itertools
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from corpus import conversations  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--conversations", type=int, default=1000)
    arguments = parser.parse_args()
    for conversation in itertools.islice(conversations(arguments.seed), arguments.conversations):
        print(json.dumps(conversation, ensure_ascii=False))


if __name__ == "__main__":
    main()
